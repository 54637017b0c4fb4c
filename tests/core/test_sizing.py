"""Sizes and limits: lots, minimums, ladders, and contracts on either side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bot.core import views
from bot.core.decide import pricing, sizing
from bot.model.commands import EntryCarry, ExitGap
from bot.model.facts import BookSeen, MarkSeen
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Bracket, Kind, Position, Side
from bot.model.pair import PairSpec, PairState, Role
from bot.model.store import Market
from risk.exposure import pair_delta_base, tolerance_base
from risk.ratio import leg_size_base
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, instrument, make_config

D = Decimal
DATED = InstrumentId("binance:usdm:BTCUSDT_260626")
DAY_NS = 86_400 * 10**9


def world(long: InstrumentId, short: InstrumentId, **changes: Any) -> World:
    config = make_config(**changes)
    made = World(msgspec.structs.replace(config, pairs=(PairSpec(BTC, long, short, D(10_000)),)))
    for number, one in enumerate(made.instruments):
        if one.id == DATED:
            made.instruments[number] = msgspec.structs.replace(
                one, kind=Kind.DATED, expiry_ns=made.at_ns + 90 * DAY_NS
            )
    made.boot()
    return made


@pytest.mark.parametrize(("long", "short"), [(LINEAR, INVERSE), (INVERSE, LINEAR)])
def test_two_contracts_are_a_pair_like_any_other(long: InstrumentId, short: InstrumentId) -> None:
    one = world(long, short)
    one.give(one.book(long, 59_999.9, 60_000.0), one.book(short, 59_999.9, 60_000.0))
    assert one.store.pairs[BTC].idle == "no_index", "no spot leg, so nothing stands in for the index"
    one.give(*[MarkSeen(leg, D(60_000), D(60_000), one.at_ns, one.at_ns) for leg in (long, short)])
    one.give(one.book(long, 59_999.9, 60_000.0), one.book(short, 60_060.0, 60_060.1))
    one.fill_all()
    pair = one.store.pairs[BTC]
    assert pair.state is PairState.HEDGED, pair.idle
    assert pair.long.position.qty > 0 > pair.short.position.qty
    assert abs(pair_delta_base(one.store, pair)) <= tolerance_base(one.store, pair)
    assert views.residual(one.store) == 0
    one.tick()
    one.give(one.book(long, 59_999.9, 60_000.0), one.book(short, 59_900.0, 59_900.1))
    assert isinstance(one.store.pairs[BTC].why, ExitGap)
    one.fill_all()
    assert one.store.pairs[BTC].state is PairState.FLAT
    assert views.residual(one.store) == 0


def test_a_dated_future_is_held_for_its_basis_to_expiry() -> None:
    """1.5 % over 90 days is 6.08 % a year (60,000 and 60,900)."""
    strategy = {
        "entry_gap_bps": None,
        "exit_gap_bps": None,
        "entry_carry_apr": 0.01,
        "hold_planned_h": 2160.0,
    }
    one = world(SPOT, DATED, strategy=strategy, limits={"collar_bps": 500.0})
    one.give(one.book(SPOT, 60_000.0, 60_000.0), one.book(DATED, 60_900.0, 60_900.0))
    orders = one.placed()
    why = orders[0].why
    assert isinstance(why, EntryCarry)
    assert why.expected_apr == pytest.approx(0.0608333, rel=1e-4)
    assert why.net_apr == pytest.approx(0.0608333 - 0.0030 * 8760 / 2160, rel=1e-2)
    assert {order.role for order in orders} == set(Role)


def test_an_expired_future_expects_nothing() -> None:
    strategy = {"entry_gap_bps": None, "entry_carry_apr": 0.01}
    one = world(SPOT, DATED, strategy=strategy)
    one.at_ns += 91 * DAY_NS
    one.give(*(one.report(account) for account in one.wallets))
    one.give(one.book(SPOT, 60_000.0, 60_000.0), one.book(DATED, 60_900.0, 60_900.0))
    assert not one.placed()
    assert one.store.pairs[BTC].idle == "near_end"


def test_a_thin_ladder_gives_no_size() -> None:
    one = World()
    one.boot()
    one.quote(60_000.0, 0.0)
    one.give(one.book(SPOT, 59_999.0, 60_000.0, 0.01), one.book(LINEAR, 60_060.0, 60_060.1, 0.01))
    pair = one.store.pairs[BTC]
    assert sizing.entry_size(one.store, pair, 10_000.0) is None
    assert pair.idle == "thin_book"


def test_what_a_contract_locks_is_that_of_the_tier_it_is_in() -> None:
    """Two tiers, of 50 times up to 5,000 and of 5 times above: 6,000 lock a fifth, 4,000 a fiftieth."""
    tiers = (Bracket(D(0), D(5_000), D("0.01"), D(0), 50), Bracket(D(5_000), D(10**9), D("0.1"), D(450), 5))
    one = hedged()
    pair, market = one.store.pairs[BTC], one.store.markets[LINEAR]
    market.instrument = msgspec.structs.replace(market.instrument, brackets=tiers)
    market.mark = D(60_000)
    pair.long.position = Position()
    for qty, locked in (("-0.1", D(6_000) / 5), ("-0.06", D(3_600) / 50)):
        pair.short.position = Position(D(qty), D(0))
        assert sizing.capital_used_quote(one.store, pair) == locked


@pytest.mark.parametrize(
    ("left", "is_in_use"), [(4_999, True), (5_100, False), (15_000, False), (15_001, False)]
)
def test_a_capital_is_in_use_once_less_than_half_a_clip_is_left(left: int, is_in_use: bool) -> None:
    one = hedged()
    pair = one.store.pairs[BTC]
    used = pair.spec.capital_quote - D(left)
    assert sizing.is_in_use(one.store, one.config, pair, used) is is_in_use


@pytest.mark.parametrize("clip", [50, 90])
def test_a_clip_below_a_venue_s_minimum_is_no_clip(clip: int) -> None:
    one = World(make_config(strategy={"clip_quote": D(clip)}))
    one.boot()
    one.quote(60_000.0, 0.0)
    one.quote(60_000.0, 20.0)
    assert not one.placed()
    assert one.store.pairs[BTC].idle == "clip_too_small"


def test_the_limit_is_the_worst_level_needed_plus_slippage_within_the_collar() -> None:
    one = World()
    one.boot()
    one.quote(60_000.0, 0.0)
    market = one.store.markets[LINEAR]
    ladder = ((60_000.0, 0.1), (60_010.0, 0.1), (60_300.0, 5.0))
    one.give(BookSeen(LINEAR, ((59_990.0, 1.0),), ladder, None, one.at_ns))
    assert limit(market, Side.BUY, "0.1", 0.0, 100.0) == D("60000.0")
    assert limit(market, Side.BUY, "0.15", 2.0, 100.0) == D("60022.0"), "60,010 and 2 bps, cut to a tick"
    assert limit(market, Side.BUY, "1", 100.0, 60.0) == D("60360.0"), "60 bps from the index"
    assert limit(market, Side.SELL, "0.1", 1_000.0, 100.0) == D("59400.0")
    market.instrument = msgspec.structs.replace(market.instrument, price_up=D("1.001"), price_down=D("0.999"))
    assert limit(market, Side.BUY, "1", 100.0, 60.0) == D("60054.9"), "the venue's own band around its mark"
    assert limit(market, Side.SELL, "0.1", 1_000.0, 100.0) == D("59935.1")
    market.asks = ()
    assert limit(market, Side.BUY, "0.1", 0.0, 100.0) is None


def limit(market: Market, side: Side, qty: str, slippage: float, collar: float) -> Decimal | None:
    return pricing.limit_price(market, side, D(qty), slippage, collar, D(60_000))


def test_a_wide_limit_does_not_make_a_sale_of_coins_too_small() -> None:
    one = World()
    one.boot()
    one.quote(60_000.0, 0.0)
    market = one.store.markets[SPOT]
    worth = market.instrument.notional_min * D("1.12")
    qty = worth / D(60_000)
    assert limit(market, Side.SELL, str(qty), 400.0, 500.0) == D(60_000), "57,600 would be below 1.1 times it"
    assert limit(market, Side.SELL, str(qty * 2), 400.0, 500.0) == D(57_600)


def test_a_reference_older_than_its_age_is_none() -> None:
    one = hedged()
    market, limits = one.store.markets[SPOT], one.config.limits
    young_ns = market.index_ns + int((limits.feed_age_max_s + one.config.strategy.heartbeat_s) * 1e9)
    market.index = D(61_000)
    assert pricing.reference(one.config, market, young_ns, opening=False) == D(61_000)
    assert pricing.reference(one.config, market, young_ns + 1, opening=False) == views.mid(market)
    assert pricing.reference(one.config, market, young_ns + 1, opening=True) == D(61_000)
    market.index = None
    assert pricing.reference(one.config, market, young_ns, opening=False) == views.mid(market)
    assert pricing.reference(one.config, market, young_ns, opening=True) is None


def test_a_leg_is_walked_on_the_side_that_its_order_meets() -> None:
    one = hedged()
    market = one.store.markets[SPOT]
    market.bids, market.asks = ((59_000.0, 5.0),), ((61_000.0, 5.0),)
    for side, price in ((Side.BUY, 61_000.0), (Side.SELL, 59_000.0)):
        found = sizing.executable(market, side, 10_000.0)
        assert found is not None
        assert found.price == pytest.approx(price)


def test_the_touch_s_distance_is_counted_the_way_that_an_order_pays() -> None:
    market = hedged().store.markets[SPOT]
    market.bids, market.asks = ((59_400.0, 5.0),), ((60_600.0, 5.0),)
    for side in Side:
        assert pricing.distance_bps(market, side, D(60_000)) == pytest.approx(100.0)
    market.bids = market.asks = ()
    assert pricing.distance_bps(market, Side.BUY, D(60_000)) == 0.0


def test_slippage_beyond_the_collar_widens_no_further() -> None:
    one = hedged()
    pair = one.store.pairs[BTC]
    pair.fruitless = 9
    assert pricing.slippage_bps(one.config, pair, 0.5, forced=True) == one.config.strategy.slippage_bps == 2.0


def test_a_forced_exit_widens_with_what_was_fruitless_and_with_time() -> None:
    one = hedged()
    pair, config = one.store.pairs[BTC], one.config
    assert pricing.slippage_bps(config, pair, 100.0, forced=True) == 2.0
    pair.fruitless = 1
    assert pricing.slippage_bps(config, pair, 100.0, forced=True) == pytest.approx(2.0 + 98.0 / 3)
    assert pricing.slippage_bps(config, pair, 100.0, forced=False) == 2.0
    pair.fruitless = 7
    assert pricing.slippage_bps(config, pair, 100.0, forced=True) == 100.0
    pair.collar_ns = one.at_ns
    widths = [
        pricing.collar_bps(config, pair, one.at_ns + seconds * 10**9, forced=True)
        for seconds in (0, 4, 5, 10, 15, 3600)
    ]
    assert widths == [100.0, 100.0, 200.0, 400.0, 500.0, 500.0]
    assert pricing.collar_bps(config, pair, one.at_ns + 10**12, forced=False) == 100.0


def test_an_inverse_leg_without_a_mark_has_no_size_in_base() -> None:
    one = World(make_config(INVERSE))
    one.boot()
    assert leg_size_base(one.store.markets[INVERSE], D(100)) == 0.0
    assert views.notional_quote(one.store.markets[SPOT], D(1)) is None
    assert views.nav(one.store) is None
    assert views.gap_bps(one.store, one.store.pairs[BTC], 1_000.0, opening=True) is None


def test_rates_between_quote_currencies() -> None:
    one = World()
    one.boot()
    assert views.quote_rate(one.store, "USDT", "USDT") == 1.0
    one.store.rates["USDT/USD"] = D("0.8")
    assert views.quote_rate(one.store, "USDT", "USD") == pytest.approx(0.8)
    assert views.quote_rate(one.store, "USD", "USDT") == pytest.approx(1.25)
    assert views.quote_rate(one.store, "EUR", "USDT") is None


def test_a_pair_without_a_rate_between_its_quotes_never_trades() -> None:
    config = msgspec.structs.replace(make_config(INVERSE), usdt_usd_rate=None)
    one = World(config)
    one.boot()
    one.store.rates.clear()
    one.quote(60_000.0, 0.0)
    one.quote(60_000.0, 50.0)
    assert not one.placed()
    assert one.store.pairs[BTC].idle in ("missing_rate", "no_index")


def test_an_instrument_of_each_kind_can_be_made() -> None:
    assert instrument(SPOT).is_spot
    assert instrument(INVERSE).inverse
    assert PairName("x") == "x"
