"""What the budgets let begin, and what passing one leads to: each number on both sides of its edge."""

from __future__ import annotations

from typing import Any

import pytest

from bot.model.commands import RaiseAlert, SetMode
from bot.model.pair import Mode, Purpose, Role
from bot.model.spending import DAY_NS, HOUR_NS, Fees, Turn
from bot.model.store import Store
from risk import budgets
from risk.exposure import MissingData
from risk.limits import Refused
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, NOW, SECOND_NS, SPOT, D, replace

DAY = NOW // DAY_NS
# an entry of 0.1 at 60,000: 6 of spot fee and 3 of the contract's, and an exit of both with headroom
ENTRY, EXIT = D(9), D("13.5")
LAST = D(10) ** -9


def spent_store(**budget: float) -> Store:
    """A store with the capital of one entry, 6,000; what is not given of the budget never binds."""
    wide: dict[str, float] = {
        "fees_day_pair_bps": 1e9, "fees_day_book_bps": 1e9, "fees_month_pair_bps": 1e9,
        "turnover_day_pair": 1e9, "loss_day_bps": 1e9, "loss_peak_bps": 1e9,
    }  # fmt: skip
    store = build.make_store()
    assert store.config is not None
    store.config = replace(store.config, budget=replace(store.config.budget, **(wide | budget)))
    store.pairs[BTC].spec = replace(store.pairs[BTC].spec, capital_quote=D(6000))
    store.routes.capital = {"USDT": D(6000)}
    store.spending.day = DAY
    return store


def block(store: Store, *orders: Any, at_ns: int = NOW) -> str | None:
    found = budgets.entry_block(store, at_ns, store.pairs[BTC], orders)
    return None if found is None else found.rule


def fees(store: Store, spent: Any = 0, other: Any = 0) -> None:
    store.pairs[BTC].spending.days = {DAY: Fees(D(spent), D(other))}
    store.pairs[BTC].spending.month = Fees(D(spent), D(other))
    store.spending.today = Fees(D(spent), D(other))


BPS_100 = D(60)  # of 6,000
FEE_BUDGETS = [
    ("fees_day_pair_bps", "budget_fees_day"),
    ("fees_day_book_bps", "budget_fees_book"),
    ("fees_month_pair_bps", "budget_fees_month"),
]


@pytest.mark.parametrize(("field", "code"), FEE_BUDGETS)
def test_a_budget_of_fees_covers_the_entry_and_the_exit_of_all_that_would_be_held(
    field: str, code: str
) -> None:
    store = spent_store(**{field: 100.0})
    fees(store, BPS_100 - ENTRY - EXIT)
    assert block(store, *build.entry()) is None
    fees(store, BPS_100 - ENTRY - EXIT + LAST)
    assert block(store, *build.entry()) == code
    assert build.rule_of(store, *build.entry()) == code  # the guard says the same
    fees(store, BPS_100 - ENTRY - EXIT)
    build.hedge(store, "0.001")
    store.spending.exit_fee = store.pairs[BTC].spending.exit_fee = D("0.135")
    assert block(store, *build.entry()) == code


@pytest.mark.parametrize(("field", "code"), FEE_BUDGETS)
def test_a_budget_covers_an_exit_that_is_undone_besides_what_was_paid_by_force(field: str, code: str) -> None:
    store = spent_store(**{field: 100.0})
    fees(store, 10, other=BPS_100 - 10 - ENTRY - EXIT)
    assert block(store, *build.entry()) is None
    fees(store, 10, other=BPS_100 - 10 - ENTRY - EXIT + LAST)
    assert block(store, *build.entry()) == code


def test_a_day_forgets_and_a_month_does_not() -> None:
    store = spent_store(fees_day_pair_bps=100.0)
    fees(store, BPS_100)
    store.spending.day = DAY + 1
    assert block(store, *build.entry()) is None
    store = spent_store(fees_month_pair_bps=100.0)
    fees(store, BPS_100)
    store.spending.day = DAY + 1
    assert block(store, *build.entry()) == "budget_fees_month"


def test_the_book_counts_what_other_pairs_hold_and_have_in_flight() -> None:
    store = spent_store(fees_day_book_bps=100.0)
    other = build.add_pair(store, "OTHER", "spot:ETHUSDT", "usdm:ETHUSDT")
    fees(store, BPS_100 - ENTRY - EXIT)
    assert block(store, *build.entry()) is None
    store.spending.exit_fee = LAST
    assert block(store, *build.entry()) == "budget_fees_book"
    store.spending.exit_fee = D(0)
    order = build.place(Role.SHORT, build.entry()[0].side, "0.001", pair=other)
    build.live(store, replace(order, instrument=store.pairs[other].spec.short))
    assert block(store, *build.entry()) == "budget_fees_book"
    # it is no matter of the pair's own budgets
    store = spent_store(fees_day_pair_bps=100.0)
    fees(store, BPS_100 - ENTRY - EXIT)
    store.spending.exit_fee = D(1000)
    assert block(store, *build.entry()) is None


def test_what_is_naked_now_leaves_with_both_legs() -> None:
    store = spent_store()
    build.hold(store, Role.SHORT, "-0.1")
    assert budgets.exit_fee(store, store.pairs[BTC]) == EXIT
    build.hold(store, Role.LONG, "0.1")
    assert budgets.exit_fee(store, store.pairs[BTC]) == EXIT


def test_an_exit_of_nothing_costs_nothing_and_one_without_a_mark_is_not_known() -> None:
    store = spent_store()
    assert budgets.exit_fee(store, store.pairs[BTC]) == 0
    build.hedge(store, "0.1")
    store.markets[SPOT].mark = None
    with pytest.raises(MissingData):
        budgets.exit_fee(store, store.pairs[BTC])
    assert block(store, *build.entry()) == "missing:mark"


def test_capital_is_valued_in_nav_currency() -> None:
    store = spent_store()
    store.routes.capital = {"USDT": D(6000), "USD": D(6000)}
    assert budgets.book_capital(store) == 12_000
    store.rates = {}
    assert block(store, *build.entry()) == "missing:rate"


# --- turnover ---------------------------------------------------------------------------------------------


def test_turnover_is_what_was_closed_and_what_an_exit_would_close() -> None:
    store = spent_store(turnover_day_pair=2.0)
    turns = store.pairs[BTC].spending.short_turns
    hour = NOW // HOUR_NS
    turns[hour] = Turn(closed=D(6000))
    assert block(store, *build.entry()) is None
    turns[hour].closed += LAST
    assert block(store, *build.entry()) == "budget_turnover"
    turns[hour - 24] = turns.pop(hour)
    assert block(store, *build.entry()) == "budget_turnover"
    turns[hour - 25] = turns.pop(hour - 24)
    assert block(store, *build.entry()) is None


def test_what_is_held_is_turnover_to_come_only_where_it_is_young() -> None:
    store = spent_store(turnover_day_pair=1.0)
    build.hedge(store, "0.1")
    assert block(store, *build.entry()) is None  # it was opened long ago
    store.pairs[BTC].spending.long_turns[NOW // HOUR_NS] = Turn(opened_qty=D("0.00001"))
    assert block(store, *build.entry()) == "budget_turnover"
    build.hedge(store, "0")  # opened and given back, which is no turnover
    assert block(store, *build.entry()) is None


# --- pauses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "pause_s"), [(1, 60), (2, 120), (3, 240), (6, 1920), (7, 3600), (90, 3600)]
)
def test_the_pause_after_an_entry_given_back_doubles(count: int, pause_s: int) -> None:
    store = spent_store()
    assert store.config is not None
    assert budgets.undone_pause_s(store.config.budget, count) == pause_s
    store.pairs[BTC].spending.undone_ns = tuple(NOW - 9 * SECOND_NS for _ in range(count))
    until_ns = NOW + (pause_s - 9) * SECOND_NS
    assert block(store, at_ns=until_ns - 1) == "entry_was_unwound"
    assert block(store, at_ns=until_ns) is None
    assert block(store, *build.entry(), at_ns=until_ns) is None


def test_an_entry_given_back_is_forgotten_after_a_day() -> None:
    store = spent_store()
    store.pairs[BTC].spending.undone_ns = (NOW - DAY_NS, NOW - SECOND_NS)
    assert block(store, at_ns=NOW + 60 * SECOND_NS) is None


@pytest.mark.parametrize("name", ["binance:spot", "binance:usdm"])
def test_an_account_that_refuses_orders_holds_its_pairs(name: str) -> None:
    store = spent_store()
    build.account(store, name).openings_held_ns = NOW + 1
    assert block(store) == block(store, *build.entry()) == "budget_refused"
    assert block(store, at_ns=NOW + 1) is None
    build.account(store, name).openings_held_ns = NOW + 90 * SECOND_NS
    told = budgets.entry_block(store, NOW, store.pairs[BTC], ())
    assert told is not None
    assert told.value == f"{name} 90 s left"


def test_a_passed_budget_stays_passed_for_its_time() -> None:
    store = spent_store()
    spending = store.pairs[BTC].spending
    spending.closed_ns, spending.closed_code = NOW + SECOND_NS, "budget_turnover"
    found = budgets.entry_block(store, NOW, store.pairs[BTC])
    assert found == Refused("budget_turnover", "1 s left", "", BTC)
    assert block(store, at_ns=NOW + SECOND_NS) is None
    assert budgets.closed_until_ns("budget_fees_day", NOW) == (DAY + 1) * DAY_NS
    assert budgets.closed_until_ns("budget_fees_book", NOW) == (DAY + 1) * DAY_NS
    assert budgets.closed_until_ns("budget_turnover", NOW) == NOW + DAY_NS
    assert budgets.closed_until_ns("holding", NOW) is None


# --- only entries -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", [Purpose.EXIT, Purpose.REPAIR, Purpose.UNWIND, Purpose.DRIFT])
def test_nothing_but_an_entry_is_ever_refused(purpose: Purpose) -> None:
    store = spent_store(fees_day_pair_bps=100.0, turnover_day_pair=1.0)
    fees(store, 10**6)
    spending = store.pairs[BTC].spending
    spending.undone_ns, spending.closed_ns = (NOW,) * 5, NOW + DAY_NS
    build.account(store, "binance:usdm").openings_held_ns = NOW + DAY_NS
    build.hedge(store, "0.1")
    assert build.rule_of(store, *build.entry()) == "entry_was_unwound"
    both = tuple(replace(order, purpose=purpose) for order in build.leave())
    assert build.rule_of(store, *both) is None
    build.hold(store, Role.SHORT, "-0.2")  # completing the long leg is a repair
    repair = build.place(Role.LONG, both[1].side.opposite, "0.1", purpose)
    assert build.rule_of(store, repair) is None


# --- what follows -----------------------------------------------------------------------------------------


def changes(store: Store, *fresh: tuple[str, str]) -> tuple[list[SetMode], list[RaiseAlert]]:
    store.spending.fresh = fresh
    found = budgets.mode_changes(store, NOW)
    modes = [one for one in found if isinstance(one, SetMode)]
    return modes, [one for one in found if isinstance(one, RaiseAlert)]


def told(store: Store, code: str) -> tuple[Any, ...]:
    return budgets.passed(store, NOW, store.pairs[BTC], Refused(code, "71", "60", BTC))


@pytest.mark.parametrize(
    ("code", "key", "words"),
    [
        ("budget_fees_day", "budget:fees_day:BTC", "until 00:00 UTC"),
        ("budget_fees_book", "budget:fees_book:BTC", "BASISBOT_BUDGET__FEES_DAY_BOOK_BPS"),
        ("budget_turnover", "budget:turnover:BTC", "BASISBOT_BUDGET__TURNOVER_DAY_PAIR"),
    ],
)
def test_a_budget_that_is_passed_is_told_once(code: str, key: str, words: str) -> None:
    store = spent_store()
    (alert,) = told(store, code)
    assert (alert.key, alert.severity) == (key, "warning")
    assert words in alert.text
    assert "71 of 60" in alert.text
    store.pairs[BTC].spending.closed_ns = NOW + 1
    assert told(store, code) == ()


def test_the_month_pauses_the_pair() -> None:
    store = spent_store()
    mode, alert = told(store, "budget_fees_month")
    assert (mode.scope, mode.mode) == (BTC, Mode.PAUSED)
    assert (alert.key, alert.severity) == ("budget:fees_month:BTC", "critical")
    store.pairs[BTC].mode = Mode.REDUCE_ONLY
    assert told(store, "budget_fees_month") == ()
    assert told(store, "holding") == ()


def test_fees_of_a_month_above_the_budget_pause_the_pair_without_an_entry() -> None:
    store = spent_store(fees_month_pair_bps=100.0)
    fees(store, BPS_100)
    assert changes(store, ("fees", BTC)) == ([], [])
    fees(store, BPS_100 + LAST)
    assert changes(store) == ([], [])  # only what has just changed is looked at
    modes, (alert,) = changes(store, ("fees", BTC))
    assert [(one.scope, one.mode) for one in modes] == [(BTC, Mode.PAUSED)]
    assert alert.key == "budget:fees_month:BTC"
    store.pairs[BTC].mode = Mode.PAUSED
    assert changes(store, ("fees", BTC)) == ([], [])
    store.pairs[BTC].mode, store.rates = Mode.ACTIVE, {}
    store.markets[SPOT].instrument = replace(store.markets[SPOT].instrument, quote="EUR")
    assert changes(store, ("fees", BTC)) == ([], [])  # what capital is worth is not known


def test_the_last_entry_given_back_pauses_the_pair_with_what_the_venue_said() -> None:
    store = spent_store()
    spending = store.pairs[BTC].spending
    spending.refusal = "binance:spot:BTCUSDT buy: -2010 not permitted"
    spending.undone_ns = (NOW - DAY_NS, *(NOW - one for one in range(4)))
    modes, (alert,) = changes(store, ("undone", BTC))
    assert (modes, alert.severity) == ([], "warning")
    assert "4 of 5 in 24 h, the next one waits 480 s; the venue last refused" in alert.text
    spending.undone_ns = (*spending.undone_ns, NOW)
    modes, (alert,) = changes(store, ("undone", BTC))
    assert [(one.scope, one.mode) for one in modes] == [(BTC, Mode.PAUSED)]
    assert (alert.key, alert.severity) == ("budget:undone:BTC", "critical")
    assert alert.text.endswith("-2010 not permitted")
    spending.refusal, store.pairs[BTC].mode = "", Mode.REDUCE_ONLY  # it does not go back to the left
    modes, (alert,) = changes(store, ("undone", BTC))
    assert (modes, alert.severity) == ([], "warning")
    assert "refused" not in alert.text


def test_refused_orders_are_told_with_the_words_of_the_venue() -> None:
    store = spent_store()
    other = build.add_pair(store, "OTHER", "spot:ETHUSDT", "usdm:ETHUSDT")
    store.pairs[BTC].spending.refusal = "binance:usdm:BTCUSDT sell: -2027 leverage"
    modes, (alert,) = changes(store, ("refused", "binance:usdm"))
    assert (modes, alert.key, alert.severity) == ([], "budget:refused:binance:usdm", "critical")
    assert "20 orders within a minute" in alert.text
    assert alert.text.endswith("-2027 leverage")
    assert not store.pairs[other].spending.refusal


def test_a_resume_says_that_the_counts_start_anew() -> None:
    store = spent_store()
    _, (one, everything) = changes(store, ("resumed", BTC), ("resumed", "*"))
    assert (one.key, one.severity) == ("budget:resumed:BTC", "info")
    assert "pair BTC was resumed" in one.text
    assert "everything was resumed" in everything.text


@pytest.mark.parametrize(("field", "words"), [("day", "00:00 UTC"), ("peak", "the best result")])
def test_a_loss_makes_everything_reduce_only(field: str, words: str) -> None:
    store = spent_store(**{f"loss_{field}_bps": 100.0})
    book = store.spending
    book.day_result, book.peak_result, book.result = D(100), D(100), D(100) - BPS_100
    assert changes(store) == ([], [])
    book.result -= LAST
    modes, (alert,) = changes(store)
    assert [(one.scope, one.mode) for one in modes] == [("*", Mode.REDUCE_ONLY)]
    assert (alert.key, alert.severity) == ("budget:loss", "critical")
    assert words in alert.text
    assert f"BASISBOT_BUDGET__LOSS_{field.upper()}_BPS" in alert.text
    store.mode = Mode.REDUCE_ONLY
    assert changes(store) == ([], [])


def test_a_loss_of_a_capital_that_is_not_known_is_not_judged() -> None:
    store = spent_store(loss_day_bps=100.0)
    store.spending.result = D(-1000)
    assert changes(store)[0]
    store.routes.capital = {"EUR": D(6000)}
    assert changes(store) == ([], [])
    store.routes.capital = {}
    assert changes(store) == ([], [])
    store.config = None
    assert budgets.mode_changes(store, NOW) == ()


def test_an_inverse_leg_is_counted_at_its_contracts() -> None:
    store = build.make_store(build.make_config(INVERSE))
    build.hold(store, Role.SHORT, "-60", price=D(50_000))  # 6,000 USD at any price
    one = store.markets[INVERSE].instrument
    rate = store.markets[SPOT].instrument.taker_rate + one.taker_rate
    assert budgets.exit_fee(store, store.pairs[BTC]) == 6000 * rate * D("1.5")
    assert LINEAR not in store.markets
