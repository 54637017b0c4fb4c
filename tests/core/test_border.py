"""What a venue says that cannot be: it moves no book, it is asked about and told, and nothing stops."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import views
from bot.core.step import step
from bot.model import facts as f
from bot.model.commands import ExitHold, PlaceOrder, QueryAccount, QueryOrder, RaiseAlert
from bot.model.facts import AnyFact, OrderFilled, OrderReported, OrderStatus
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import Kind, Position, Side, after_fill
from bot.model.money import is_measured
from bot.model.pair import Role
from bot.model.store import OrderState, decode_store, encode_store
from risk import watch
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, instrument, make_config

D = Decimal
USDM = account_of(LINEAR)
CONTRADICTION = f"{USDM} contradiction"


def entering(short: Any = LINEAR) -> tuple[World, PlaceOrder]:
    """A world whose two orders have just been sent, and its short leg's order."""
    world = World(make_config(short, capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    return world, next(order for order in world.placed() if order.role is Role.SHORT)


def execution(world: World, order: PlaceOrder, **changes: Any) -> OrderFilled:
    (fact,) = [one for one in world.fill(order) if isinstance(one, OrderFilled)]
    return msgspec.structs.replace(fact, **changes)


def report(order: PlaceOrder, filled: Decimal, status: OrderStatus = OrderStatus.FILLED) -> OrderReported:
    return OrderReported(order.client_id, order.instrument, "v1", status, order.side, order.qty, filled, 5)


def books(world: World) -> bytes:
    store = world.store
    legs = [(leg.position, leg.coin_cash) for pair in store.pairs.values() for leg in pair.legs]
    filled = {name: order.filled_qty for name, order in store.orders.items()}
    return msgspec.json.encode((store.ledger, legs, filled, list(store.trades)))


def alerts(world: World) -> list[tuple[str, str]]:
    found = [(one.key, one.severity) for one in world.commands if isinstance(one, RaiseAlert)]
    world.commands = [one for one in world.commands if not isinstance(one, RaiseAlert)]
    return found


WRONG: dict[str, Callable[[PlaceOrder], dict[str, Any]]] = {
    "more than ordered": lambda order: {"qty": order.qty + D("0.001")},
    "the other side": lambda order: {"side": order.side.opposite},
    "another instrument": lambda order: {"instrument": SPOT},
    "an instrument of nobody": lambda order: {"instrument": "binance:usdm:ETHUSDT"},
    "nothing": lambda order: {"qty": D(0)},
    "less than nothing": lambda order: {"qty": D(-1)},
    "for nothing": lambda order: {"price": D(0)},
    "no number": lambda order: {"price": D("NaN")},
    "a fee of no ledger": lambda order: {"fee": D("1e-80")},
    "more digits than a ledger has": lambda order: {"price": D("60000." + "1" * 50)},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_fill_that_cannot_be_the_orders_is_refused_asked_about_and_told(wrong: str) -> None:
    world, order = entering()
    before = books(world)
    world.give(execution(world, order, **WRONG[wrong](order)))
    assert books(world) == before
    assert world.store.orders[order.client_id].state is OrderState.UNCERTAIN
    assert order.client_id in [one.client_id for one in world.commands if isinstance(one, QueryOrder)]
    holds = watch.holds(world.store, world.at_ns, world.store.pairs[BTC])
    assert "uncertain_order" in [hold.code for hold in holds]
    assert (f"contradiction:{USDM}", "critical") in alerts(world)
    # the true one is booked when it comes
    world.give(execution(world, order), report(order, order.qty))
    assert world.store.orders[order.client_id].filled_qty == order.qty
    assert world.store.orders[order.client_id].state is OrderState.DONE


def test_the_same_contradiction_again_and_again_asks_no_more_than_once_in_ten_seconds() -> None:
    world = hedged()
    order = next(one for one in world.store.orders.values() if one.role is Role.SHORT)
    said = OrderFilled(
        order.client_id, LINEAR, "888", "v", order.side, D(5), D(60_000), D(0), "USDT", False, world.at_ns
    )
    before, asked = books(world), 0
    for _ in range(300):
        world.give(said, after_s=0.1)
        queries = [one for one in world.commands if isinstance(one, QueryAccount) and one.account == USDM]
        if queries:
            world.answer_accounts()
        asked += len(queries)
    assert books(world) == before
    assert 2 <= asked <= 5
    assert alerts(world).count((f"contradiction:{USDM}", "critical")) == 3  # the 1st, the 10th, the 100th
    assert world.store.accounts[USDM].reconciled, "the venue's account agrees: nothing was executed"


def test_an_execution_beyond_the_order_that_did_happen_is_a_difference_until_it_is_adopted() -> None:
    world = hedged()
    pair = world.store.pairs[BTC]
    order = next(one for one in world.store.orders.values() if one.role is Role.SHORT)
    placed = PlaceOrder(
        order.client_id, order.pair, order.role, order.instrument, order.side, D("0.1"), order.price,
        order.tif, order.reduce_only, order.purpose, order.arrival_mid, ExitHold(0.0, 0.0),
    )  # fmt: skip
    world.give(*world.execute(placed, D("0.1"), order.price))
    world.answer_accounts()
    assert world.store.accounts[USDM].differences
    assert (f"reconcile:{USDM}", "critical") in alerts(world)
    codes = [hold.code for hold in watch.holds(world.store, world.at_ns, pair)]
    assert "not_reconciled" in codes
    held = pair.short.position.qty
    world.give(f.AdoptionOrdered(USDM, "operator", "as it stands"))
    world.answer_accounts()
    assert pair.short.position.qty == held - D("0.1")
    assert world.store.accounts[USDM].reconciled
    assert views.residual(world.store) == 0


def test_a_report_of_fills_that_are_not_listed_is_asked_again_and_then_ends_the_order() -> None:
    world, order = entering()
    before = books(world)
    world.give(report(order, order.qty))
    kept = world.store.orders[order.client_id]
    assert (books(world), kept.state) == (before, OrderState.UNCERTAIN)
    world.give(report(order, order.qty, OrderStatus.OPEN), after_s=20)
    assert kept.state is OrderState.UNCERTAIN
    world.give(report(order, order.qty), after_s=20)
    assert (books(world), kept.state) == (before, OrderState.DONE)
    assert not world.store.accounts[USDM].reconciled


# --- accounts, prices, instruments


NOT_FINITE = [D("NaN"), D("Infinity"), D("1e40"), D("1e-40"), D("1." + "3" * 40)]


@pytest.mark.parametrize("number", NOT_FINITE)
def test_numbers_that_no_ledger_holds_are_refused(number: Decimal) -> None:
    world = hedged()
    before, accounts = books(world), msgspec.json.encode(world.store.accounts[USDM].balances)
    forced = f.ForcedFilled(LINEAR, "1", Side.BUY, D("0.01"), number, D(0), "USDT", "adl", 1)
    for fact in (
        f.BalanceSeen(USDM, "USDT", number, 1),
        f.PositionSeen(LINEAR, number, D(0), 1),
        f.FundingPaid(LINEAR, "USDT", number, D(0), D(0), D(0), "t", 1),
        f.InterestCharged(USDM, "USDT", number, "t", 1),
        f.InsuranceCharged(USDM, "USDT", number, "t", 1),
        f.Transferred(USDM, "USDT", number, "t", 1),
        forced,
        f.AccountReported(USDM, {"USDT": number}, (), (), 1),
        f.MarkSeen(LINEAR, number, None, 1, 1),
        f.MarkSeen(LINEAR, None, number, 1, 1),
        f.RateSeen("USDT", "USD", number, 1),
        f.FundingEstimated(LINEAR, number, 1, 1, 1),
        f.FundingSettled(LINEAR, number, 1),
    ):
        count = sum(world.store.drift.values())
        world.give(fact)
        assert books(world) == before, fact
        assert sum(world.store.drift.values()) == count + 1, fact
    assert msgspec.json.encode(world.store.accounts[USDM].balances) == accounts
    assert not world.store.accounts[USDM].reconciled


def test_facts_of_accounts_and_instruments_that_are_not_ours_are_counted() -> None:
    world = hedged()
    other = AccountId("other:spot")
    for fact in (
        f.BalanceSeen(other, "USDT", D(1), 1),
        f.AccountReported(other, {}, (), (), 1),
        f.Transferred(other, "USDT", D(1), "t", 1),
        f.AccountSet(other, True, False, 1),
        f.VenueReset(other, "gone", 1),
        f.HistoryGapped(other, 1, 2),
        f.AccountTouched(other, "x", 1),
        f.BookSeen(InstrumentId("other:spot:X"), ((1.0, 1.0),), ((2.0, 1.0),), 1, 1),
        f.MarkSeen(InstrumentId("other:spot:X"), D(1), D(1), 1, 1),
    ):
        count = sum(world.store.drift.values())
        world.give(fact)
        assert sum(world.store.drift.values()) == count + 1, fact
    assert views.residual(world.store) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"lot": D(0)}, {"tick": D(-1)}, {"contract_size": D(0)}, {"qty_max": D("NaN")},
        {"margin_asset": "BTC"}, {"inverse": True}, {"quote": "USDC"}, {"kind": Kind.DATED},
    ],
)  # fmt: skip
def test_an_instrument_that_cannot_be_so_stays_as_it_was(changes: dict[str, Any]) -> None:
    world = hedged()
    known = world.store.markets[LINEAR].instrument
    world.give(f.InstrumentListed(instrument(LINEAR, **changes)))
    assert world.store.markets[LINEAR].instrument == known
    assert alerts(world)[-1] == (f"contradiction:{USDM}", "critical")
    world.give(f.InstrumentListed(instrument(LINEAR, lot=D("0.01"))))
    assert world.store.markets[LINEAR].instrument.lot == D("0.01"), "a new filter is no contradiction"


def test_money_in_an_asset_that_has_no_price_is_booked_without_one() -> None:
    world = hedged()
    world.give(f.FundingPaid(LINEAR, "BFUSD", D(3), D(0), D(0), D(0), "t", 1))
    assert world.store.ledger.cash[USDM]["BFUSD"] == D(3)
    assert world.store.ledger.total.funding == 0


def test_an_adl_of_a_contract_before_its_first_mark_is_booked() -> None:
    """What stood in an account before has no mark when the venue takes it."""
    world = World(make_config(LINEAR, capital=10_000))
    world.positions[LINEAR] = Position(D(-1), D(-60_000))
    world.boot()
    assert LINEAR not in world.store.ledger.per_qty
    world.give(f.ForcedFilled(LINEAR, "1", Side.BUY, D("0.5"), D(61_000), D(1), "USDT", "adl", 1))
    assert world.store.ledger.positions[LINEAR] == Position(D("-0.5"), D(-30_000))
    assert world.store.ledger.cash[USDM]["USDT"] == D(100_000) - 500 - 1


@pytest.mark.parametrize("taken", ["0", "0.4", "1"])
def test_a_position_whose_contract_gets_its_first_mark_late_leaves_no_residual(taken: str) -> None:
    """A contract that another pair's settings bring into an account whose books are open."""
    world = hedged()
    name = InstrumentId("binance:usdm:BTCUSDC")
    usdc = instrument(name, quote="USDC", margin_asset="USDC")
    world.give(f.InstrumentListed(usdc))
    world.give(f.AdoptionOrdered(USDM, "operator", "as it stands"))
    wallet = world.wallets[USDM]
    wallet["USDC"] = D(1_000)
    world.positions[name] = Position(D(1), D(60_500))
    world.answer_accounts()
    assert world.store.ledger.opened
    if taken != "0":
        world.positions[name], realised = after_fill(usdc, world.positions[name], -D(taken), D(60_400))
        wallet["USDC"] += realised
        held = world.positions[name]
        world.give(
            f.ForcedFilled(name, "1", Side.SELL, D(taken), D(60_400), D(0), "USDC", "adl", 1),
            f.BalanceSeen(USDM, "USDC", wallet["USDC"], 1),
            f.PositionSeen(name, held.qty, held.cost, 1),
        )
    world.give(f.RateSeen("USDC", "USDT", D("0.999"), 1))
    world.give(f.MarkSeen(name, D(60_000), D(60_000), 1, 1))
    world.give(f.MarkSeen(name, D(60_700), D(60_000), 1, 1))
    assert views.residual(world.store) == 0


# --- whatever is said


numbers = st.one_of(
    st.sampled_from([*NOT_FINITE, D(0), D(-1), D("-0.001"), D("1e14"), D("1e-24")]),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.decimals(min_value=0, max_value=100_000, places=3),
)
names = st.sampled_from([SPOT, LINEAR, INVERSE, "binance:usdm:ETHUSDT", "x:y:z"])
accounts = st.sampled_from(["binance:spot", "binance:usdm", "binance:coinm", "x:y"])
assets = st.sampled_from(["USDT", "BTC", "BNB", "USD", ""])
sides = st.sampled_from(Side)
statuses = st.sampled_from(OrderStatus)
flags = st.booleans()
small = st.integers(0, 10**6)
words = st.sampled_from(["", "1", "2", "NEW", "TRADING"])


def said(world: World) -> st.SearchStrategy[AnyFact]:
    ids = st.sampled_from([*world.store.orders, "nobody"])
    numbered = st.one_of(numbers, st.sampled_from([one.qty for one in world.store.orders.values()]))
    return st.one_of(
        st.builds(
            OrderFilled,
            ids,
            names,
            words,
            words,
            sides,
            numbered,
            numbers,
            numbers,
            assets,
            st.booleans(),
            small,
        ),
        st.builds(
            OrderReported, ids, names, words, st.sampled_from(OrderStatus), sides, numbered, numbers, small
        ),
        st.builds(f.OrderAccepted, ids, words, small),
        st.builds(f.OrderRejected, ids, words, words, small),
        st.builds(f.OrderCanceled, ids, small),
        st.builds(f.OrderExpired, ids, words, small),
        st.builds(f.CancelRejected, ids, words, words, small),
        st.builds(f.OrderUncertain, ids, words),
        st.builds(f.OrderNotFound, ids, small),
        st.builds(f.ForcedFilled, names, words, sides, numbers, numbers, numbers, assets, words, small),
        st.builds(f.FundingPaid, names, assets, numbers, numbers, numbers, numbers, words, small),
        st.builds(f.InterestCharged, accounts, assets, numbers, words, small),
        st.builds(f.InsuranceCharged, accounts, assets, numbers, words, small),
        st.builds(f.Transferred, accounts, assets, numbers, words, small),
        st.builds(f.BalanceSeen, accounts, assets, numbers, small),
        st.builds(f.PositionSeen, names, numbers, numbers, small),
        st.builds(
            f.AccountReported,
            accounts,
            st.dictionaries(assets, numbers, max_size=3),
            st.lists(st.builds(f.PositionHeld, names, numbers, numbers), max_size=3).map(tuple),
            st.lists(ids, max_size=2).map(tuple),
            small,
        ),
        st.builds(f.AccountSet, accounts, st.booleans(), st.booleans(), small),
        st.builds(f.ContractSet, names, st.integers(-1, 200), st.booleans(), small),
        st.builds(f.VenueReset, accounts, words, small),
        st.builds(f.HistoryGapped, accounts, small, small),
        st.builds(f.AccountTouched, accounts, words, small),
        st.builds(f.MarginCalled, accounts, words, small),
        st.builds(f.MarkSeen, names, st.none() | numbers, st.none() | numbers, small, small),
        st.builds(f.FundingEstimated, names, numbers, small, small, small),
        st.builds(f.FundingSettled, names, numbers, small),
        st.builds(f.BookGapped, names, small, small, small),
        st.builds(
            f.RateSeen, st.sampled_from(["USDT", "BTC"]), st.sampled_from(["USD", "EUR"]), numbers, small
        ),
        st.builds(f.InstrumentStatusSeen, names, words, small),
        st.builds(f.Throttled, accounts, small, words, words),
    )


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
@pytest.mark.parametrize("is_held", [False, True])
def test_nothing_that_a_venue_can_say_is_a_bug_of_ours(short: Any, is_held: bool) -> None:
    start = hedged(short) if is_held else entering(short)[0]
    store, words_of = encode_store(start.store), said(start)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(words_of, min_size=1, max_size=12))
    def run(facts: list[AnyFact]) -> None:
        world_store, at_ns = decode_store(store), start.at_ns
        for fact in facts:
            at_ns += 50_000_000
            step(world_store, at_ns, (fact,))
        quote = start.books(60_000.0, 20.0)
        step(world_store, at_ns + 1, quote)
        step(world_store, at_ns + 2, (f.Tick({one.id: at_ns for one in start.instruments}, {}),))

    run()


def test_what_is_measured() -> None:
    for good in (
        "0",
        "-1",
        "60000.10",
        "0.00000000000000000012345",
        "999999999999999",
        "12345678901.00000000",
    ):
        assert is_measured(D(good)), good
    for bad in ("NaN", "sNaN", "Infinity", "1e15", "1e-25", "1234567890.123456789"):
        assert not is_measured(D(bad)), bad
