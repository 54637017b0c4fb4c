"""What happened once and is told once, and the modes that such an event sets.

A venue that acts on us of its own accord freezes entries until an operator has looked: a forced fill, a
margin call, an account that the venue has forgotten.  What must stay true: an event that is reported again is
not told again.  Whatever lasts is a condition (`bot.core.decide.conditions`) and not an event.
"""

from __future__ import annotations

from msgspec import Struct

from bot.core.booking import is_booked
from bot.core.decide import conditions
from bot.model.commands import AnyCommand, CancelOrder, RaiseAlert, SetMode
from bot.model.facts import (
    AccountReported,
    AccountSet,
    AnyFact,
    ContractSet,
    ForcedFilled,
    MarginCalled,
    ProtocolDrift,
    Stopped,
    VenueReset,
)
from bot.model.ids import PairName, account_of
from bot.model.pair import Mode
from bot.model.store import OrderState, Store, live_orders
from bot.model.venue_settings import account_unfit, contract_unfit
from risk import ownership, watch
from risk.exposure import config_of

KINDS = (
    "halted", "forced", "margin_call", "venue_reset", "drift", "settings", "contradiction", "adopted",
    "budget",
)  # fmt: skip


TELLING = frozenset(
    (AccountReported, AccountSet, ContractSet, ForcedFilled, MarginCalled, ProtocolDrift, Stopped, VenueReset)
)
"""Facts of which something is told once; of all others nothing is."""


class Known(Struct, frozen=True):
    """What the store knew before a batch: forced fills of the batch that are not booked yet, how the
    contracts and accounts of the batch are set at their venue (in words, with whether the bot trades so), and
    the mode.  ``telling``: whether the batch has a fact of which something is told."""

    mode: Mode
    telling: bool
    forced: tuple[ForcedFilled, ...] = ()
    settings: dict[str, tuple[str, bool]] = {}


def known(store: Store, facts: tuple[AnyFact, ...]) -> Known:
    if TELLING.isdisjoint(map(type, facts)):
        return Known(store.mode, telling=False)
    forced = tuple(fact for fact in facts if type(fact) is ForcedFilled and not is_booked(store, fact))
    return Known(store.mode, True, forced, _settings(store, facts))


def events(store: Store, facts: tuple[AnyFact, ...], before: Known) -> tuple[AnyCommand, ...]:
    """Alerts and modes for what this batch reports for the first time, with the store behind it."""
    out = _told(store, facts, before) if before.telling else []
    if before.mode is Mode.FLATTENING and store.mode is Mode.HALTED and store.mode_reason == watch.FLAT:
        out.append(RaiseAlert("halted", "info", f"halted: {watch.FLAT}"))
    return tuple(out)


def _told(store: Store, facts: tuple[AnyFact, ...], before: Known) -> list[AnyCommand]:
    out: list[AnyCommand] = []
    for fill in before.forced:
        text = f"{fill.cause}: {fill.instrument} {fill.side.value} {fill.qty} at {fill.price}"
        for name in ownership.owners(store, fill.instrument):
            out += _freeze(store, name, text, f"forced:{fill.trade_id}")
    for fact in facts:
        if isinstance(fact, MarginCalled):
            for name, pair in store.pairs.items():
                if fact.account in (account_of(pair.spec.long), account_of(pair.spec.short)):
                    text = f"margin call on {fact.account}: {fact.reason}"
                    out += _freeze(store, name, text, f"margin_call:{fact.account}")
        elif isinstance(fact, AccountReported) and fact.account in store.accounts:
            for instrument in store.accounts[fact.account].adopted:
                text = f"{instrument} shrank without an order of ours and is taken over as the venue holds it"
                for name in ownership.owners(store, instrument):
                    out += _freeze(store, name, text, f"adopted:{instrument}")
        elif isinstance(fact, VenueReset):
            text = f"the venue has forgotten account {fact.account}: {fact.reason}"
            if store.mode is Mode.ACTIVE:
                out.append(SetMode("*", Mode.PAUSED, text))
            out.append(RaiseAlert(f"venue_reset:{fact.account}", "critical", text))
        elif isinstance(fact, Stopped) and not fact.clean:
            # a run that cannot end in order leaves nothing resting; the next run asks for what is in flight
            out += [
                CancelOrder(order.client_id, order.instrument, "stopped")
                for order in live_orders(store)
                if order.state is OrderState.OPEN
            ]
    out += _resettings(store, facts, before.settings)
    out += _drifts(store, facts)
    return out


def _freeze(store: Store, name: PairName, text: str, key: str) -> list[AnyCommand]:
    alert = RaiseAlert(key, "critical", f"pair {name}: {text}; it opens nothing until an operator resumes it")
    if store.pairs[name].mode is not Mode.ACTIVE:
        return [alert]
    return [SetMode(name, Mode.PAUSED, text), alert]


def _settings(store: Store, facts: tuple[AnyFact, ...]) -> dict[str, tuple[str, bool]]:
    """How the contracts and accounts of these facts are set; what nobody reported is left out."""
    found: dict[str, tuple[str, bool]] = {}
    for fact in facts:
        if type(fact) is ContractSet and fact.instrument in store.markets:
            market = store.markets[fact.instrument]
            if market.leverage is not None:
                unfit = contract_unfit(config_of(store), market.leverage, not market.isolated)
                found[fact.instrument] = (conditions.contract_words(market), unfit is None)
        elif type(fact) is AccountSet and fact.account in store.accounts:
            account = store.accounts[fact.account]
            unfits = account_unfit(account.hedged, account.multi_assets)
            found[fact.account] = (conditions.account_words(account), not unfits)
    return found


def _resettings(
    store: Store, facts: tuple[AnyFact, ...], before: dict[str, tuple[str, bool]]
) -> list[AnyCommand]:
    """Settings at the venue that somebody changed from one that the bot trades under to another one."""
    return [
        RaiseAlert(f"settings:{name}", "info", f"{name} is set to {words} at the venue")
        for name, (words, is_fit) in _settings(store, facts).items()
        if is_fit and name in before and before[name][1] and before[name][0] != words
    ]


def _drifts(store: Store, facts: tuple[AnyFact, ...]) -> list[AnyCommand]:
    """What was not understood of a venue is told with each further digit of its count: there can be much."""
    drifts: dict[str, list[ProtocolDrift]] = {}
    for fact in facts:
        if type(fact) is ProtocolDrift:
            drifts.setdefault(f"{fact.account} {fact.stream}", []).append(fact)
    out: list[AnyCommand] = []
    for key, (*_, fact) in drifts.items():
        count = store.drift[key]
        before = count - len(drifts[key])
        if not before or len(str(before)) < len(str(count)):
            text = f"{fact.account} is not understood on {fact.stream}, {count} so far: {fact.reason}"
            out.append(RaiseAlert(f"drift:{key}", "warning", text))
    return out


def contradictions(store: Store) -> tuple[RaiseAlert, ...]:
    """What a venue said that cannot be is told by account, with each further digit of its count."""
    fresh: dict[str, list[str]] = {}
    for each in store.contradictions:
        fresh.setdefault(each.account, []).append(each.text)
    out = []
    for account, texts in fresh.items():
        count = store.drift[f"{account} contradiction"]
        before = count - len(texts)
        if not before or len(str(before)) < len(str(count)):
            text = f"refused, {count} so far: {texts[-1]}; no book is changed by it, the account is compared"
            out.append(RaiseAlert(f"contradiction:{account}", "critical", text))
    return tuple(out)
