"""What a person is told of channels that are down: one that the venue refuses at once, others after a minute.

Streams are lost every day and come back by themselves, so that a loss is no news; a refusal is, since no wait
helps.  What was told is a function of the store before and after the step, and is stored nowhere.  What must
stay true: one outage is told once, and its end only to whoever heard of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.model.commands import RaiseAlert
from bot.model.facts import Channel
from bot.model.ids import AccountId, account_of
from bot.model.pair import PairState
from bot.model.store import Store

LONG_NS = 60_000_000_000  # a venue that is well is reached again within a few seconds
Outages = dict[tuple[AccountId, Channel], str]


def outages(store: Store, at_ns: int) -> Outages:
    """The outages that a person has heard of at ``at_ns``, each with the venue's refusal, or no words."""
    found: Outages = {}
    for name, account in store.accounts.items():
        for channel, since_ns in account.lost_ns.items():
            refusal = account.refused.get(channel, "")
            if refusal or at_ns - since_ns >= LONG_NS:
                found[name, channel] = refusal
    return found


def outage_alerts(store: Store, at_ns: int, before: Outages) -> tuple[RaiseAlert, ...]:
    """What is new since ``before``, the `outages` of the last step, in accounts that anything depends on."""
    after = outages(store, at_ns)
    if before == after:
        return ()
    served = set(_served(store))
    out = []
    for (name, channel), refusal in after.items():
        if name not in served or ((name, channel) in before and (before[name, channel] or not refusal)):
            continue
        account, key = store.accounts[name], f"{name} {channel.value}"
        if refusal:
            text = (
                f"{key} is refused: {refusal}; nothing is opened there until a person has mended the account "
                "or the key's rights, or started anew with another key"
            )
            out.append(RaiseAlert(f"channel:{key}", "critical", text))
        else:
            since_s = (at_ns - account.lost_ns[channel]) // 1_000_000_000
            text = f"{key} has been down for {since_s} s: {account.lost[channel]}"
            out.append(RaiseAlert(f"channel:{key}", "warning", text))
    for name, channel in before:
        if channel not in store.accounts[name].lost:
            key = f"{name} {channel.value}"
            out.append(RaiseAlert(f"channel:{key}", "info", f"{key} is open again"))
    return tuple(out)


def _served(store: Store) -> Iterator[AccountId]:
    """Accounts of pairs that the settings name or that are not closed: the others have no gateway."""
    for pair in store.pairs.values():
        if pair.in_config or pair.state is not PairState.FLAT:
            yield account_of(pair.spec.long)
            yield account_of(pair.spec.short)
