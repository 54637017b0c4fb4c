"""The ledger closes to zero, and does not close when anything is dropped, doubled or moved by a tick."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import fold, views
from bot.model.entry import Entry
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    ForcedFilled,
    FundingPaid,
    InterestCharged,
    OrderFilled,
    PositionHeld,
    PositionSeen,
    RateSeen,
    Transferred,
)
from bot.model.ids import AccountId, InstrumentId, PairName
from bot.model.instrument import Position, Side, after_fill
from bot.model.money import exact_arithmetic
from bot.model.pair import PairSpec
from bot.model.store import Store
from tests.core.world import INVERSE, LINEAR, SPOT, World, hedged, instrument, make_config

D = Decimal


Change = Callable[[AnyFact], tuple[AnyFact, ...]]


def refolded(rows: list[Entry], change: Change = lambda fact: (fact,)) -> Store:
    store = Store()
    for row in rows:
        facts = tuple(changed for fact in row.facts for changed in change(fact))
        fold.refold(store, Entry(row.seq, row.at_ns, facts, row.commands))
    return store


@pytest.fixture(scope="module", params=[LINEAR, INVERSE], ids=["linear", "inverse"])
def lived(request: pytest.FixtureRequest) -> World:
    """A pair that entered, was paid funding twice, saw prices move, and left."""
    world = hedged(request.param)
    for number, (price, gap, rate) in enumerate([(61_000.0, 9.0, "0.0003"), (58_500.5, 3.0, "-0.0001")]):
        world.tick()
        world.quote(price, gap)
        world.give(*world.pay_funding(D(rate), D(repr(price)), number))
        world.fill_all()
    world.tick()
    world.quote(59_000.0, -20.0)
    world.fill_all()
    return world


def test_nav_change_is_explained_to_the_last_digit(lived: World) -> None:
    store = lived.store
    assert store.pairs[lived.config.pairs[0].name].state.value == "FLAT"
    assert views.residual(store) == 0
    total = store.ledger.total
    assert total.funding != 0
    assert total.fees < 0
    assert total.slippage < 0, "fills at the limit are worse than the mid"
    assert total.basis > 0, "sold at +20 bps, bought back at −20"


def test_every_row_closes(lived: World) -> None:
    store = Store()
    for row in lived.rows:
        fold.refold(store, row)
        assert not views.residual(store)


MONEY = (OrderFilled, FundingPaid)


def keys(rows: list[Entry]) -> list[str]:
    return [_key(fact) for row in rows for fact in row.facts if isinstance(fact, MONEY)]


def _key(fact: OrderFilled | FundingPaid) -> str:
    return fact.trade_id if isinstance(fact, OrderFilled) else fact.transaction_id


def _renamed(fact: OrderFilled | FundingPaid) -> AnyFact:
    if isinstance(fact, OrderFilled):
        return msgspec.structs.replace(fact, trade_id="again")
    return msgspec.structs.replace(fact, transaction_id="again")


def _ticked(fact: OrderFilled | FundingPaid) -> AnyFact:
    if isinstance(fact, OrderFilled):
        return msgspec.structs.replace(fact, price=fact.price + D("0.1"))
    return msgspec.structs.replace(fact, amount=fact.amount + D("0.00000001"))


def only(key: str, change: Callable[[OrderFilled | FundingPaid], tuple[AnyFact, ...]]) -> Change:
    """A change of the one fill or payment that has this key."""
    return lambda fact: change(fact) if isinstance(fact, MONEY) and _key(fact) == key else (fact,)


def test_dropping_any_one_fill_or_payment_leaves_a_residual(lived: World) -> None:
    for key in keys(lived.rows):
        assert views.residual(refolded(lived.rows, only(key, lambda _: ()))), key


def test_doubling_any_one_fill_or_payment_leaves_a_residual(lived: World) -> None:
    """Under another trade id: under the same one it is the same trade and is booked once (next test). A
    doubled fill of a whole order is refused before that."""
    for key in keys(lived.rows):
        store = refolded(lived.rows, only(key, lambda fact: (fact, _renamed(fact))))
        is_refused = any("contradiction" in each for each in store.drift)
        assert is_refused or views.residual(store), key


def test_the_same_trade_told_twice_is_booked_once(lived: World) -> None:
    store = refolded(lived.rows, lambda fact: (fact, fact) if isinstance(fact, MONEY) else (fact,))
    assert views.residual(store) == 0
    assert store.ledger == lived.store.ledger


def test_moving_any_one_fill_or_payment_by_a_tick_leaves_a_residual(lived: World) -> None:
    for key in keys(lived.rows):
        assert views.residual(refolded(lived.rows, only(key, lambda fact: (_ticked(fact),)))), key


def test_refolding_restores_the_store(lived: World) -> None:
    assert refolded(lived.rows) == lived.store


@settings(max_examples=40, deadline=None)
@given(
    prices=st.lists(st.tuples(st.integers(300_000, 900_000), st.integers(-40, 40)), min_size=1, max_size=8),
    inverse=st.booleans(),
)
def test_any_path_of_prices_closes(prices: list[tuple[int, int]], inverse: bool) -> None:
    world = hedged(INVERSE if inverse else LINEAR)
    for tenths, gap in prices:
        world.tick()
        world.quote(tenths / 10, float(gap))
        world.fill_all()
        assert views.residual(world.store) == 0


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
def test_a_forced_fill_is_adl_and_nothing_else(short: str) -> None:
    world = hedged(INVERSE if short == INVERSE else LINEAR)
    one = world.instruments[1]
    held = world.positions[one.id]
    before = msgspec.structs.replace(world.store.ledger.total)
    with exact_arithmetic():
        world.positions[one.id], realised = after_fill(one, held, -held.qty, D("60500.0"))
        wallet = world.wallets[one.account]
        wallet[one.margin_asset] += realised - D("0.00001")
    fact = ForcedFilled(
        one.id, "adl1", Side.BUY, -held.qty, D("60500.0"), D("0.00001"), one.margin_asset, "adl", world.at_ns
    )
    world.give(
        fact,
        BalanceSeen(one.account, one.margin_asset, wallet[one.margin_asset], world.at_ns),
        PositionSeen(one.id, D(0), D(0), world.at_ns),
    )
    after = world.store.ledger.total
    assert views.residual(world.store) == 0
    assert after.adl != 0
    assert (after.fees, after.slippage, after.basis) == (before.fees, before.slippage, before.basis)


def test_interest_and_transfers_have_their_own_buckets() -> None:
    world = hedged()
    spot = AccountId("binance:spot")
    wallet = world.wallets[spot]
    wallet["USDT"] += D(500) - D("1.25")
    world.give(
        Transferred(spot, "USDT", D(500), "t1", world.at_ns),
        InterestCharged(spot, "USDT", D("1.25"), "i1", world.at_ns),
        BalanceSeen(spot, "USDT", wallet["USDT"], world.at_ns),
    )
    total = world.store.ledger.total
    assert (total.transfers, total.borrow) == (D(500), D("-1.25"))
    assert views.residual(world.store) == 0


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
def test_a_cash_rate_moves_quote_fx_alone(short: str) -> None:
    world = World(make_config(INVERSE if short == INVERSE else LINEAR, nav_currency="USD", capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    before = msgspec.structs.replace(world.store.ledger.total)
    world.give(RateSeen("USDT", "USD", D("0.97"), world.at_ns))
    after = world.store.ledger.total
    assert views.residual(world.store) == 0
    assert after.quote_fx < 0
    assert msgspec.structs.replace(after, quote_fx=D(0)) == msgspec.structs.replace(before, quote_fx=D(0))


def test_baseline_coins_are_collateral_and_the_pair_is_basis() -> None:
    """With the gap unchanged a price move earns the pair nothing: all of it is the margin coins'
    revaluation."""
    world = hedged(INVERSE)
    before = msgspec.structs.replace(world.store.ledger.total)
    coins = world.wallets[world.instruments[1].account]["BTC"]
    world.tick()
    world.quote(66_000.0, 20.0)
    after = world.store.ledger.total
    assert after.collateral - before.collateral == coins * D(6000)
    assert abs(after.basis - before.basis) < D(40), "a pair of 10,000 quote, hedged to a lot of 100"


def test_books_open_only_when_everything_is_known() -> None:
    world = World()
    world.boot()
    world.give(world.book(SPOT, 60_000.0, 60_000.1))
    assert views.residual(world.store) is None, "the contract has no mark yet"
    world.give(world.book(LINEAR, 60_000.0, 60_000.1))
    assert world.store.ledger.opened
    assert world.store.ledger.start_nav == D(300_000)


def test_the_venues_position_is_valued_at_its_mark() -> None:
    world = hedged()
    held = world.store.accounts[AccountId("binance:usdm")].positions[LINEAR]
    assert held == world.positions[LINEAR] == world.store.ledger.positions[LINEAR]
    assert held.qty < 0
    assert Position() != held


def test_money_that_moves_before_the_books_open_is_part_of_the_start() -> None:
    world = World()
    world.boot()
    assert not world.store.ledger.opened
    moved(world, "binance:spot", D(5), "1")
    world.quote(60_000.0, 0.0)
    assert (world.store.ledger.start_nav, views.residual(world.store)) == (D(300_005), D(0))
    assert world.store.ledger.total.transfers == 0


def test_both_sides_of_a_transfer_count_though_they_share_an_id() -> None:
    world = hedged()
    moved(world, "binance:spot", D(-5), "1")
    moved(world, "binance:usdm", D(5), "1")
    moved(world, "binance:usdm", D(0), "1")
    assert views.residual(world.store) == 0
    assert world.store.ledger.total.transfers == 0


def test_an_asset_without_a_price_moves_outside_the_books_until_it_has_one() -> None:
    world = hedged()
    moved(world, "binance:spot", D(5), "1", "USDC")
    assert (world.store.ledger.total.transfers, views.residual(world.store)) == (D(0), D(0))
    world.give(RateSeen("USDC", "USDT", D("0.9"), world.at_ns))
    assert (world.store.ledger.total.transfers, views.residual(world.store)) == (D("4.5"), D(0))
    world.give(RateSeen("USDC", "USDT", D("0.8"), world.at_ns))
    assert (world.store.ledger.total.quote_fx, views.residual(world.store)) == (D("-0.5"), D(0))


def test_an_account_that_joins_later_is_a_transfer() -> None:
    world = hedged()
    added = PairSpec(PairName("COIN"), SPOT, INVERSE, D(10_000))
    world.config = msgspec.structs.replace(world.config, pairs=(*world.config.pairs, added))
    world.instruments.append(instrument(INVERSE))
    world.wallets[AccountId("binance:coinm")] = {"BTC": D(3)}
    world.boot()
    world.give(*world.books(60_000.0, 20.0), world.book(INVERSE, 60_000.0, 60_000.0))
    assert views.residual(world.store) == 0
    assert world.store.ledger.total.transfers == D(3) * D(60_000)


def test_a_position_that_is_not_ours_is_no_part_of_nav() -> None:
    world = hedged()
    before = views.nav(world.store)
    other = InstrumentId("binance:usdm:ETHUSDT")
    report = world.report(AccountId("binance:usdm"))
    held = (*report.positions, PositionHeld(other, D(1), D(3000)))
    world.give(msgspec.structs.replace(report, positions=held))
    world.give(PositionSeen(other, D(2), D(6000), world.at_ns))
    assert views.nav(world.store) == before
    assert world.store.drift == {"account PositionSeen of an instrument that is not ours": 1}
    assert not world.store.accounts[AccountId("binance:usdm")].reconciled


def moved(world: World, account: str, amount: Decimal, number: str, asset: str = "USDT") -> None:
    wallet = world.wallets[AccountId(account)]
    wallet[asset] = wallet.get(asset, D(0)) + amount
    world.give(
        Transferred(AccountId(account), asset, amount, number, world.at_ns),
        BalanceSeen(AccountId(account), asset, wallet[asset], world.at_ns),
    )
