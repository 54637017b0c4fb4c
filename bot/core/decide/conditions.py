"""What stands and a person must know: conditions of a pair, an account, an instrument and of everything.

A condition is read from the store alone, so that it can be asked for at any step and after a restart.  Each
has one key, ``KIND:SUBJECT``.  What must stay true: the functions ``of_…`` yield the conditions that hold
now, and ``keys_of_…`` name every condition that their subject can have.  A condition that is not known to be
over is yielded as it was told last: of an account not compared since the boot, of a channel still down.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from msgspec import Struct

from bot.core.decide import candidates
from bot.core.decide.idle import Idle, of_kept
from bot.core.decide.standing import STANDING, UNDER_WAY
from bot.core.residuals import may_leave_coins, worth_quote
from bot.model.commands import MarginStage
from bot.model.facts import Channel
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.money import ONE
from bot.model.pair import Mode, PairState
from bot.model.store import Account, Deleveraged, Market, Pair, Store
from bot.model.venue_settings import account_unfit, contract_unfit
from risk import needs, ownership, watch
from risk.exposure import config_of, pair_delta_base, residual_base
from risk.fee_coin import LEVEL_H, fee_stock
from risk.tradable import RESTING_MARGIN, is_gone

LONG_NS = 60_000_000_000  # a channel that is well is reached again within a few seconds
SECOND_NS = 1_000_000_000


class Condition(Struct, frozen=True):
    """One that holds: ``severity`` is critical or warning, ``text`` one sentence for a person."""

    kind: str
    subject: str
    severity: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.subject}" if self.subject else self.kind


# --- a pair -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def keys_of_pair(name: PairName) -> tuple[str, ...]:
    kinds = ("legged", "naked_halted", "margin_coins", "contract_of_open_pair", *STANDING)
    return (*(f"{kind}:{name}" for kind in kinds), *(f"limit:{name}:{rule}" for rule in watch.PASSABLE))


def is_quiet(store: Store, at_ns: int, pair: Pair) -> bool:
    """Whether no condition of a pair can hold: asked in each step, and cheaper than `of_pair`."""
    return (
        pair.mode is Mode.ACTIVE
        and pair.state is not PairState.LEGGED
        and (not pair.naked_ns or _is_patient(store, at_ns, pair))
        and pair.idle not in STANDING
        and not may_leave_coins(store, pair)
        and ownership.rival(store, pair) is None
    )


def _is_patient(store: Store, at_ns: int, pair: Pair) -> bool:
    """Whether a naked pair is within its patience, and nothing was tried in vain yet."""
    patience_ns = config_of(store).strategy.patience_s * 1e9
    return not pair.fruitless and at_ns - pair.naked_ns <= patience_ns


def of_pair(store: Store, at_ns: int, pair: Pair) -> Iterator[Condition]:
    name = pair.spec.name
    if pair.state is PairState.LEGGED:
        yield Condition("legged", name, "critical", f"pair {name} is {_naked(store, at_ns, pair)}")
    patience_ns = config_of(store).strategy.patience_s * 1e9
    is_naked = pair.naked_ns != 0 and at_ns - pair.naked_ns > patience_ns
    if is_naked and watch.effective_mode(store, pair) is Mode.HALTED:
        text = (
            f"pair {name} is {_naked(store, at_ns, pair)} and halted: nothing is traded until an operator "
            "resumes it; close it at the venue, or resume now"
        )
        yield Condition("naked_halted", name, "critical", text)
    rule = watch.passed_rule(pair)
    if rule:
        remedy = "lower the position or raise the limit, then resume"
        text = f"pair {name} only reduces: {pair.mode_reason}; {remedy}"
        yield Condition("limit", f"{name}:{rule}", "critical", text)
    taken = ownership.rival(store, pair)
    if taken is not None and pair.in_config:
        text = (
            f"pair {name} opens nothing: {taken[0]} belongs to the pair {taken[1]}, which is open; flatten "
            f"{taken[1]}, or give the pair its old name again"
        )
        yield Condition("contract_of_open_pair", name, "warning", text)
    yield from _residual(store, pair)
    yield from _kept(store, at_ns, pair)


def _residual(store: Store, pair: Pair) -> Iterator[Condition]:
    """Coins without a leg to hedge them, worth more than dust.  Once told, they stand until they are worth
    clearly less, so that a price alone does not begin and end them."""
    worth, name = worth_quote(store, pair), pair.spec.name
    if not worth or _has_position(store, pair):
        return
    margin = RESTING_MARGIN if f"margin_coins:{name}" in store.alerts else ONE
    if worth * margin > config_of(store).strategy.dust_max_quote:
        owed, base = residual_base(store, pair), store.markets[pair.spec.short].instrument.base
        text = (
            f"pair {name} has closed its contracts and leaves {owed:f} {base} unhedged in its margin wallet, "
            f"{worth:.2f} quote; transfer {'them out' if owed > 0 else 'as many in'}, "
            f"or settle-residual {name}"
        )
        yield Condition("margin_coins", name, "warning", text)


def _kept(store: Store, at_ns: int, pair: Pair) -> Iterator[Condition]:
    """What keeps a pair from trading.  One that is naked has spent its patience already, and an attempt that
    filled nothing ends nothing."""
    name, standing = pair.spec.name, STANDING.get(pair.idle)
    vain = _in_vain(store, at_ns, pair)
    if vain is not None and vain.reason != pair.idle:
        yield _stands(name, vain)
    if standing is None:
        if pair.fruitless and pair.idle in UNDER_WAY:
            for code in STANDING:
                if vain is None or code != vain.reason:
                    yield from _as_told(store, code, name)
        return
    since_ns = min(pair.naked_ns, pair.idle_ns) if pair.naked_ns else pair.idle_ns
    if at_ns - since_ns <= config_of(store).strategy.patience_s * 1e9:
        return
    if standing.without_position or _has_position(store, pair):
        yield _stands(name, Idle(pair.idle, pair.idle_value, pair.idle_limit))


def _stands(name: PairName, idle: Idle) -> Condition:
    standing = STANDING[idle.reason]
    numbers = ", limit ".join(filter(None, (idle.value, idle.limit)))
    what = f"{standing.what} ({numbers})" if numbers else standing.what
    return Condition(idle.reason, name, standing.severity, f"pair {name} {what}; {standing.remedy}")


def _in_vain(store: Store, at_ns: int, pair: Pair) -> Idle | None:
    """Of a naked pair whose attempts were fruitless: what keeps a leg from trading while the other is tried,
    or the book that may be of the past, which priced them."""
    config = config_of(store)
    if not pair.naked_ns or pair.fruitless < max(1, config.strategy.repair_attempts):
        return None
    for idle in candidates.kept_from(store, config, pair, at_ns):
        if idle.reason in STANDING:
            return idle
    doubts = [needs.doubt(store, at_ns, leg.instrument) for leg in pair.legs]
    return next((of_kept(hold) for hold in doubts if hold is not None), None)


def _naked(store: Store, at_ns: int, pair: Pair) -> str:
    delta, mark = pair_delta_base(store, pair), store.markets[pair.spec.long].mark
    worth = f", {abs(delta * mark):.2f} quote" if mark is not None else ""
    seconds = (at_ns - pair.naked_ns) / 1e9 if pair.naked_ns else 0.0
    return f"naked by {delta:f} base{worth} for {seconds:.1f} s"


def _has_position(store: Store, pair: Pair) -> bool:
    """Whether a leg holds more than dust."""
    return not all(is_gone(store, leg) for leg in pair.legs)


# --- an account -------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def keys_of_account(name: AccountId) -> tuple[str, ...]:
    channels = (f"channel:{name} {channel.value}" for channel in Channel)
    kinds = ("reconcile", "foreign", "settings", "fee_coin", "deleveraging")
    return (*(f"{kind}:{name}" for kind in kinds), *channels)


def of_account(store: Store, at_ns: int, account: Account) -> Iterator[Condition]:
    name = account.id
    if account.differences:
        text = (
            f"account {name} is not what the ledger expects, "
            f"nothing is opened on it until both agree: {'; '.join(account.differences)}"
        )
        yield Condition("reconcile", name, "critical", text)
    elif watch.is_overdue(store, account, at_ns):
        rows = f" ({account.unread_rows} rows of its last report are unread)" if account.unread_rows else ""
        text = f"account {name} was not compared whole for too long{rows}: nothing is opened on it"
        yield Condition("reconcile", name, "critical", text)
    elif not account.reconciled:
        yield from _as_told(store, "reconcile", name)
    if account.foreign:
        orders = "; ".join(
            f"{order.name} ({order.kind} {order.side.value} {order.qty} {order.instrument})"
            for order in account.foreign
        )
        text = f"account {name} has orders of other users, which the bot never cancels: {orders}"
        yield Condition("foreign", name, "warning", text)
    giving = {
        asset: state for asset, state in account.deleveraged.items() if state.stage is MarginStage.GIVING
    }
    if giving:
        figures = "; ".join(f"{asset} {_beyond(state)}" for asset, state in giving.items())
        text = (
            f"account {name} gives back margin, both legs of its pairs are reduced: {figures}; add margin "
            "or close more by hand"
        )
        yield Condition("deleveraging", name, "critical", text)
    if account_unfit(account.hedged, account.multi_assets):
        yield _unfit(name, account_words(account))
    stock = fee_stock(account, at_ns)
    if stock is not None and stock.left_h is not None and stock.left_h < LEVEL_H:
        text = (
            f"account {name} holds {stock.balance:f} {stock.coin} to pay fees from, {stock.left_h:.1f} h at "
            "the rate of the last day: buy more, else they are paid in what is traded"
        )
        yield Condition("fee_coin", name, "warning", text)
    if account.lost and _is_served(store, name):
        for channel in account.lost:
            yield from _channel(store, at_ns, account, channel)


def _beyond(state: Deleveraged) -> str:
    return f"{state.rule} {state.value} is beyond {state.limit}"


def _as_told(store: Store, kind: str, subject: str) -> Iterator[Condition]:
    """What nobody has said to be over."""
    told = store.alerts.get(f"{kind}:{subject}")
    if told is not None:
        yield Condition(kind, subject, told.severity, told.text)


def _channel(store: Store, at_ns: int, account: Account, channel: Channel) -> Iterator[Condition]:
    """A channel that the venue refuses, at once, since no wait helps; one that is down, after a minute, since
    streams are lost every day and come back by themselves."""
    subject, refusal = f"{account.id} {channel.value}", account.refused.get(channel, "")
    lost_ns = at_ns - account.lost_ns[channel]
    if refusal:
        text = (
            f"{subject} is refused: {refusal}; nothing is opened there until a person has mended the account "
            "or the key's rights, or started the bot again with another key"
        )
        yield Condition("channel", subject, "critical", text)
    elif lost_ns >= LONG_NS:
        text = f"{subject} has been down for {lost_ns // SECOND_NS} s: {account.lost[channel]}"
        yield Condition("channel", subject, "warning", text)
    else:  # a restart counts from its own start
        yield from _as_told(store, "channel", subject)


def _is_served(store: Store, name: AccountId) -> bool:
    """Whether a pair depends on it that the settings name or that is not closed: others have no gateway."""
    return any(
        name in (account_of(pair.spec.long), account_of(pair.spec.short))
        for pair in store.pairs.values()
        if pair.in_config or pair.state is not PairState.FLAT
    )


# --- an instrument ----------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def keys_of_instrument(name: InstrumentId) -> tuple[str, ...]:
    return (f"status:{name}", f"settings:{name}")


def of_instrument(store: Store, market: Market) -> Iterator[Condition]:
    name = market.instrument.id
    if market.status and name in store.routes.pairs_of:
        yield Condition("status", name, "critical", f"{name} is {market.status}")
    if market.leverage is not None and contract_unfit(config_of(store), market.leverage, not market.isolated):
        yield _unfit(name, contract_words(market))


def contract_words(market: Market) -> str:
    return f"{'isolated' if market.isolated else 'cross'}, {market.leverage}×"


def account_words(account: Account) -> str:
    position = "hedge mode" if account.hedged else "one-way"
    return f"{position}, {'multi' if account.multi_assets else 'single'}-asset"


def _unfit(name: str, words: str) -> Condition:
    text = f"{name} is set to {words} at the venue: nothing is opened in it until a person has set it right"
    return Condition("settings", name, "critical", text)


# --- everything -------------------------------------------------------------------------------------------


def of_everything(store: Store) -> Iterator[Condition]:
    """A halt; what an operator ordered is no emergency, and what was flattened by order is told as an
    event."""
    if store.mode is Mode.HALTED and store.mode_reason != watch.FLAT:
        severity = "warning" if store.mode_ordered else "critical"
        yield Condition("halted", "", severity, f"halted: {store.mode_reason}")


# --- the end of a condition -------------------------------------------------------------------------------

KINDS_OF_ACCOUNT = ("reconcile", "foreign", "channel", "settings", "fee_coin", "deleveraging")
KINDS_OF_INSTRUMENT = ("status", "settings")
KINDS = (
    "halted", "legged", "naked_halted", "limit", "contract_of_open_pair", "margin_coins", "reconcile",
    "foreign", "channel", "settings", "fee_coin", "deleveraging", "status",
)  # fmt: skip


def ended(store: Store, key: str) -> str:
    """The sentence that a condition is over."""
    kind, _, subject = key.partition(":")
    match kind:
        case "halted" if not subject:
            return f"everything is {store.mode.value} and no longer halted"
        case "legged":
            return f"pair {subject} is naked no longer"
        case "limit":
            name, _, rule = subject.partition(":")
            return f"pair {name} is no longer bound by {rule}"
        case "contract_of_open_pair":
            return f"the contracts of pair {subject} are no other pair's any more"
        case "margin_coins":
            return f"pair {subject} leaves no coins unhedged that are more than dust"
        case "reconcile":
            return f"account {subject} is what the ledger expects again"
        case "foreign":
            return f"account {subject} has no orders of other users any more"
        case "deleveraging":
            return f"account {subject} gives back margin no longer; nothing is opened on it for an hour"
        case "channel":
            name = AccountId(subject.rpartition(" ")[0])
            return (
                f"{subject} is open again" if _is_served(store, name) else f"no pair needs {subject} any more"
            )
        case "fee_coin":
            return f"account {subject} needs no more of its fee coin"
        case "status":
            market = store.markets.get(InstrumentId(subject))
            return f"{subject} is {(market.status if market else '') or 'TRADING'}"
        case "settings":
            return f"{subject} is set right at the venue again"
        case _:
            return f"pair {subject} is no longer {kind}"
