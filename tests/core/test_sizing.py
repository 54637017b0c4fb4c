"""Sizes and limits: lots, minimums, ladders, and contracts on either side."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bot.core import sizing, views
from bot.model.commands import EntryCarry, ExitGap
from bot.model.facts import BookSeen, MarkSeen
from bot.model.ids import InstrumentId, PairName
from bot.model.instrument import Kind, Position, Side
from bot.model.pair import PairSpec, PairState, Role
from risk.exposure import pair_delta_base, tolerance_base
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
    one.give(one.book(SPOT, 60_000.0, 60_000.0), one.book(DATED, 60_900.0, 60_900.0))
    assert not one.placed()
    assert one.store.pairs[BTC].idle == "missing_funding"


def test_a_thin_ladder_gives_no_size() -> None:
    one = World()
    one.boot()
    one.quote(60_000.0, 0.0)
    one.give(one.book(SPOT, 59_999.0, 60_000.0, 0.01), one.book(LINEAR, 60_060.0, 60_060.1, 0.01))
    pair = one.store.pairs[BTC]
    assert sizing.entry_size(one.store, pair, 10_000.0) is None
    assert pair.idle == "thin_book"
    assert sizing.exit_size(one.store, pair, 10_000.0) is None, "nothing is held"


@pytest.mark.parametrize("clip", [50, 90])
def test_a_clip_below_a_venue_s_minimum_is_no_clip(clip: int) -> None:
    one = World(make_config(strategy={"clip_quote": D(clip)}))
    one.boot()
    one.quote(60_000.0, 0.0)
    one.quote(60_000.0, 20.0)
    assert not one.placed()
    assert one.store.pairs[BTC].idle == "clip_too_small"


def test_an_adjustment_never_turns_a_leg_and_never_sells_what_is_not_held() -> None:
    one = hedged()
    pair, spot, perp = one.store.pairs[BTC], one.store.markets[SPOT], one.store.markets[LINEAR]
    held = pair.long.position.qty
    assert sizing.adjustment(spot, pair.long, 10.0) == (Side.SELL, held - held % D("0.00001"), False)
    found = sizing.adjustment(perp, pair.short, -10.0)
    assert found == (Side.BUY, -pair.short.position.qty, True)
    pair.long.position = Position()
    assert sizing.adjustment(spot, pair.long, 1.0) is None
    assert sizing.adjustment(perp, pair.short, 0.0001) is None, "below a lot"
    perp.bids = ()
    assert sizing.adjustment(perp, pair.short, 1.0) is None, "no price"


def test_growing_a_leg_below_the_minimum_notional_is_impossible_but_reducing_is_not() -> None:
    one = hedged()
    pair, perp = one.store.pairs[BTC], one.store.markets[LINEAR]
    assert sizing.adjustment(perp, pair.short, 0.0015) is None, "0.001 BTC is less than 100 quote"
    assert sizing.adjustment(perp, pair.short, -0.0015) == (Side.BUY, D("0.001"), True)


def test_the_limit_is_the_worst_level_needed_plus_slippage_within_the_collar() -> None:
    one = World()
    one.boot()
    one.quote(60_000.0, 0.0)
    market = one.store.markets[LINEAR]
    ladder = ((60_000.0, 0.1), (60_010.0, 0.1), (60_300.0, 5.0))
    one.give(BookSeen(LINEAR, ((59_990.0, 1.0),), ladder, None, one.at_ns))
    assert sizing.limit_price(market, Side.BUY, D("0.1"), 0.0, 100.0) == D("60000.0")
    assert sizing.limit_price(market, Side.BUY, D("0.15"), 2.0, 100.0) == D("60022.0"), (
        "60,010 and 2 bps, cut to a tick"
    )
    assert sizing.limit_price(market, Side.BUY, D(1), 100.0, 60.0) == D("60360.0"), "60 bps from the index"
    assert sizing.limit_price(market, Side.SELL, D("0.1"), 1_000.0, 100.0) == D("59400.0")
    market.index = None
    assert sizing.limit_price(market, Side.BUY, D("0.1"), 0.0, 100.0) is None
    market.index, market.asks = D(60_000), ()
    assert sizing.limit_price(market, Side.BUY, D("0.1"), 0.0, 100.0) is None


def test_an_inverse_leg_without_a_mark_has_no_size_in_base() -> None:
    one = World(make_config(INVERSE))
    one.boot()
    assert views.leg_size_base(one.store.markets[INVERSE], D(100)) == 0.0
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


def test_an_adjustment_is_no_larger_than_its_venue_takes() -> None:
    one = hedged()
    market = one.store.markets[LINEAR]
    market.instrument = msgspec.structs.replace(market.instrument, qty_max=D("0.05"))
    found = sizing.adjustment(market, one.store.pairs[BTC].short, -0.1)
    assert found == (Side.BUY, D("0.05"), True)
