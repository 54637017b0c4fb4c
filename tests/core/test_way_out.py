"""From every state there is a way out, and the program takes it: each situation, its orders and positions.

The venue here is `World`'s: it fills at the limit what it is told to fill, and its positions are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from bot.model.commands import NoteIdle, PlaceOrder, RaiseAlert
from bot.model.facts import (
    AccountSet,
    AnyFact,
    BookSeen,
    Channel,
    ChannelLost,
    ForcedFilled,
    InstrumentStatusSeen,
    ModeOrdered,
    OrderExpired,
    OrderRejected,
    OrderUncertain,
    Throttled,
    Tick,
)
from bot.model.ids import InstrumentId
from bot.model.instrument import Side
from bot.model.pair import Mode, PairState, Purpose, Role
from risk.exposure import tolerance_base
from tests.core.way_out import (
    FLATTEN,
    WIDE,
    D,
    beat,
    delta_of,
    flatten,
    half_entered,
    is_hedged,
    pair_of,
    play,
    steady,
)  # fmt: skip
from tests.core.world import INVERSE, LINEAR, SECOND_NS, SPOT, World, hedged, make_config

# --- a leg is missing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.FLATTENING, Mode.REDUCE_ONLY])
def test_where_nothing_may_open_a_short_without_its_coins_is_bought_back(mode: Mode) -> None:
    world = half_entered(short_filled=True)
    live = [one for one in world.store.orders.values() if one.state.is_live]
    world.placed()
    expired = [OrderExpired(order.client_id, "IOC", world.at_ns) for order in live]
    world.give(ModeOrdered("*", mode, "kay", "careful"), *expired)
    sent = world.placed()
    world.give(*[fact for order in sent for fact in world.fill(order)])
    sent += play(world, 5, steady(world), lambda order: order.instrument == LINEAR)
    assert [(one.role, one.side, one.reduce_only) for one in sent] == [(Role.SHORT, Side.BUY, True)]
    assert world.positions[LINEAR].qty == 0
    assert pair_of(world).state is PairState.FLAT


def test_completing_lowers_the_delta_and_no_hold_or_limit_forbids_it() -> None:
    """The completing purchase exceeds the gap by the fee kept in coins: by 167 lots of this coin."""
    world = half_entered(short_filled=True, limits={"net_delta_max_quote": D(100)})
    live = [one for one in world.store.orders.values() if one.state.is_live]
    assert [one.side for one in live] == [Side.BUY]
    world.give(ChannelLost(world.instruments[1].account, Channel.MARKET, "socket closed"))
    world.placed()
    world.give(OrderExpired(live[0].client_id, "IOC", world.at_ns))
    sent = play(world, 3, lambda: (world.book(SPOT, 60_000.0, 60_000.0),), silent=LINEAR)
    assert (sent[0].role, sent[0].side, sent[0].purpose) == (Role.LONG, Side.BUY, Purpose.REPAIR)
    assert is_hedged(world)


def test_what_is_refused_goes_behind_the_next_and_rounds_pause_longer() -> None:
    world = half_entered(short_filled=True, **WIDE)
    sent: list[tuple[int, Role]] = []
    start_ns = world.at_ns
    for _ in range(20 * 120):
        orders = world.placed()
        sent += [(world.at_ns - start_ns, order.role) for order in orders]
        refused = [OrderRejected(order.client_id, "-1", "no", world.at_ns) for order in orders]
        world.give(*world.books(60_000.0, 0.0), *refused, after_s=0.05)
    roles = [role for _, role in sent]
    assert roles[:6] == [Role.LONG] * 3 + [Role.SHORT] * 3
    pauses = [(later - earlier) / 1e9 for (earlier, _), (later, _) in pairwise(sent)]
    assert max(pauses) > 15.0
    assert len(sent) <= 60, "two minutes of refusals are no storm"
    world.give(InstrumentStatusSeen(LINEAR, "TRADING", world.at_ns))
    world.give(*world.books(60_000.0, 0.0), after_s=0.3)
    assert world.placed(), "what was forbidden may be allowed again: the round begins with the shortest pause"


def test_repairs_priced_by_a_book_that_is_no_more_are_told_as_such() -> None:
    world = half_entered(short_filled=True, strategy={"repair_attempts": 0})
    for account in dict.fromkeys(one.account for one in world.instruments):
        world.give(ChannelLost(account, Channel.MARKET, "closed"))
    sent = play(world, 10, tuple, fills=lambda order: False)
    assert len(sent) >= 3, "the premise: orders go, since the books are young enough to close by"
    told = [one for one in world.commands if isinstance(one, RaiseAlert) and one.key == "venue_down:BTC"]
    assert told[0].severity == "critical"
    assert "market" in told[0].text


@pytest.mark.parametrize("slippage", [0.0, 0.1])
def test_a_repair_widens_towards_the_collar(slippage: float) -> None:
    world = half_entered(short_filled=True, strategy={"slippage_bps": slippage}, **WIDE)
    ask = 60_000.0
    limits: list[Decimal] = []

    def fills(order: PlaceOrder) -> bool:
        limits.append(order.price)
        return order.price >= D("60100")  # the market runs away by 17 bps while an order travels

    play(world, 4, lambda: (world.book(SPOT, ask - 1, ask), world.book(LINEAR, ask, ask + 1)), fills)
    assert is_hedged(world)
    assert limits == sorted(limits)
    assert limits[-1] <= D("60600"), "never beyond the collar"


def test_a_residual_below_every_minimum_is_dust_and_ends_no_exit() -> None:
    """Lots are worth 0.20, the venue's least order 5: what an order leaves, 2.40, no other order mends."""
    world = World(make_config(capital=10_000))
    coin = {"base": "DOGE", "tick": D("0.00001"), "qty_max": D(10**9), "lot": D(1), "qty_min": D(1)}
    world.instruments = [msgspec.structs.replace(one, **coin, notional_min=D(5)) for one in world.instruments]
    world.boot()

    def quote(gap: float) -> tuple[AnyFact, ...]:
        price, other = 0.20, round(0.20 * (1 + gap / 1e4), 5)
        return tuple(
            BookSeen(name, ((at, 5e6),), ((at, 5e6),), world.at_ns, world.at_ns)
            for name, at in ((SPOT, price), (LINEAR, other))
        )

    world.give(*quote(0.0))
    world.give(*quote(20.0))
    legs = {order.role: order for order in world.placed()}
    world.give(*world.fill(legs[Role.LONG]), *world.fill(legs[Role.SHORT], legs[Role.SHORT].qty - 12))
    assert abs(delta_of(world)) > 10
    assert pair_of(world).state is PairState.HEDGED
    play(world, 3, lambda: quote(0.0))
    world.give(FLATTEN)
    play(world, 5, lambda: quote(0.0))
    assert world.positions[LINEAR].qty == 0
    assert world.wallets[world.instruments[0].account]["DOGE"] * D("0.2") <= 25
    assert (pair_of(world).state, world.store.mode) == (PairState.FLAT, Mode.HALTED)


# --- prices -----------------------------------------------------------------------------------------------


def squeezed(world: World, premium: float, index: bool = True) -> tuple[AnyFact, ...]:
    """The contract stands ``premium`` above its index, which is the spot's price."""
    marks = (world.mark(LINEAR, D(60_000), D(60_000)),) if index else ()
    price = round(60_000.0 * (1.0 + premium), 1)
    return (*marks, world.book(SPOT, 60_000.0, 60_001.0), world.book(LINEAR, price - 0.1, price))


def marked(**changes: Any) -> World:
    """A hedged world whose index is told by the contract's stream."""
    config = msgspec.structs.replace(make_config(capital=10_000, **changes), paper_reference="none")
    world = World(config)
    world.boot()
    world.give(world.mark(LINEAR, D(60_000), D(60_000)))
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    return world


@pytest.mark.parametrize(("premium", "ends_flat"), [(0.02, True), (0.049, True), (0.06, False)])
def test_a_group_beyond_its_collar_waits_whole_while_the_collar_doubles(
    premium: float, ends_flat: bool
) -> None:
    world = marked()
    world.give(*squeezed(world, premium), FLATTEN)
    assert not world.placed(), "neither leg is touched"
    sent = play(world, 25, lambda: squeezed(world, premium))
    notes = [
        one for one in world.commands if isinstance(one, NoteIdle) and one.reason == "beyond_exit_collar"
    ]
    assert [note.limit for note in notes] == ["100", "200", "400", "500"][: len(notes)]
    if ends_flat:
        assert {order.role for order in sent} == set(Role)
        assert pair_of(world).state is PairState.FLAT
    else:
        assert not sent
        assert is_hedged(world)
        assert len(notes) == 4
        assert pair_of(world).idle == "beyond_exit_collar"


def test_an_inverse_contract_far_above_its_mark_leaves_with_its_coins() -> None:
    world = hedged(INVERSE)
    price = 60_000.0 * 1.036

    def books() -> tuple[AnyFact, ...]:
        return (
            world.mark(INVERSE, D(61_080), D(60_000)),
            world.book(SPOT, 60_000.0, 60_001.0), world.book(INVERSE, price - 0.1, price, size_base=0.12),
        )  # fmt: skip

    world.give(*books(), FLATTEN)
    world.commands.clear()
    sent = play(world, 60, books)
    assert len([order for order in sent if order.role is Role.SHORT]) >= 2, "the premise: more than one clip"
    assert pair_of(world).state is PairState.FLAT
    assert not [one for one in world.commands if isinstance(one, NoteIdle) and one.reason == "guard_mode"]


def test_an_exit_by_signal_waits_at_its_normal_collar() -> None:
    world = marked(strategy={"exit_gap_bps": 500.0, "entry_gap_bps": 600.0})
    play(world, 2, lambda: squeezed(world, 0.0))
    world = marked(strategy={"hold_max_s": 5.0, "exit_gap_bps": None})
    sent = play(world, 60, lambda: squeezed(world, 0.02))
    assert not sent
    assert pair_of(world).idle == "price_beyond_collar"


def test_a_frozen_index_bounds_no_price_the_book_s_own_mid_does() -> None:
    world = marked()
    held = -pair_of(world).short.position.qty
    world.give(ChannelLost(world.instruments[1].account, Channel.MARKET, "socket closed"))
    price = 59_000.0
    play(world, 20, lambda: (world.book(SPOT, price, price + 1.0),), silent=LINEAR)
    world.give(ForcedFilled(LINEAR, "t1", Side.BUY, held, D(59_000), D(0), "USDT", "adl", world.at_ns))
    sent = play(
        world, 5, lambda: (world.book(SPOT, price, price + 1.0),), lambda order: order.price <= price, LINEAR
    )
    assert len(sent) <= 2
    assert abs(delta_of(world)) <= tolerance_base(world.store, pair_of(world))


# --- one leg cannot trade -----------------------------------------------------------------------------------


BROKEN: dict[str, Callable[[InstrumentId, World], AnyFact]] = {
    "status": lambda name, world: InstrumentStatusSeen(name, "BREAK", world.at_ns),
    "orders": lambda name, world: ChannelLost(_account(world, name), Channel.ORDERS, "socket closed"),
    "throttled": lambda name, world: Throttled(_account(world, name), world.at_ns + 10**12, "418", "banned"),
}


def _account(world: World, name: InstrumentId) -> Any:
    return next(one.account for one in world.instruments if one.id == name)


@pytest.mark.parametrize("policy", ["together", "sequenced"])
@pytest.mark.parametrize("name", [SPOT, LINEAR])
@pytest.mark.parametrize("how", list(BROKEN))
def test_in_ratio_neither_leg_is_touched_while_one_cannot_trade(
    how: str, name: InstrumentId, policy: str
) -> None:
    world = hedged(strategy={"leg_policy": policy}, **WIDE)
    sent = flatten(world, BROKEN[how](name, world)) + play(world, 30, steady(world))
    assert not sent
    assert pair_of(world).idle in ("not_trading", "venue_down")
    assert is_hedged(world)


def test_a_wrong_position_mode_stops_the_contract_s_orders() -> None:
    world = hedged()
    hedge_mode = AccountSet(_account(world, LINEAR), True, False, world.at_ns)
    assert not flatten(world, hedge_mode) + play(world, 5, steady(world))
    assert pair_of(world).idle == "restricted"


@pytest.mark.parametrize("name", [SPOT, LINEAR])
@pytest.mark.parametrize("how", list(BROKEN))
def test_a_half_closed_clip_is_hedged_again_by_the_leg_that_trades(how: str, name: InstrumentId) -> None:
    world = hedged()
    legs = {order.instrument: order for order in flatten(world)}
    other = SPOT if name == LINEAR else LINEAR
    world.give(*world.fill(legs[other]), *world.fill(legs[name], D(0)), BROKEN[how](name, world))
    sent = world.placed() + play(world, 1, lambda: ())
    world.give(*[fact for order in sent for fact in world.fill(order)])
    play(world, 5, steady(world))
    assert is_hedged(world)
    assert world.positions[LINEAR].qty != 0, "the halted leg is hedged, not given up"


def test_an_announced_end_still_takes_orders() -> None:
    world = hedged()
    sent = flatten(world, InstrumentStatusSeen(LINEAR, "DELISTING", world.at_ns))
    world.give(*[fact for order in sent for fact in world.fill(order)])
    play(world, 3, steady(world))
    assert pair_of(world).state is PairState.FLAT


@pytest.mark.parametrize("share", [D(1), D("0.2")])
def test_a_contract_taken_away_is_opened_again_while_the_coins_book_is_stale(share: Decimal) -> None:
    world = hedged()
    frozen_ns = world.store.markets[SPOT].heard_ns

    def feed() -> tuple[AnyFact, ...]:
        return (world.book(LINEAR, 60_000.0, 60_000.1),)

    for _ in range(45):
        world.give(Tick({SPOT: frozen_ns, LINEAR: world.at_ns + SECOND_NS}, {}), after_s=1.0)
        world.give(*feed())
    lot = D("0.001")
    taken = -pair_of(world).short.position.qty * share // lot * lot
    world.give(ForcedFilled(LINEAR, "t1", Side.BUY, taken, D(60_000), D(0), "USDT", "adl", world.at_ns))
    sent = world.placed()
    for _ in range(8):
        world.give(*[fact for order in sent[-1:] for fact in world.fill(order)] if sent else [])
        world.give(Tick({SPOT: frozen_ns, LINEAR: world.at_ns + SECOND_NS}, {}), after_s=1.0)
        world.give(*feed())
        sent += world.placed()
        if is_hedged(world):
            break
    assert {(order.role, order.side) for order in sent} == {(Role.SHORT, Side.SELL)}
    assert is_hedged(world)


def test_one_leg_left_whose_own_book_is_blind_is_hedged_by_the_other() -> None:
    world = hedged()
    legs = {order.instrument: order for order in flatten(world)}
    spot_books = BookSeen(SPOT, (), (), world.at_ns, world.at_ns)
    world.give(*world.fill(legs[LINEAR]), *world.fill(legs[SPOT], D(0)), spot_books)
    sent = world.placed()
    assert [(order.role, order.side) for order in sent] == [(Role.SHORT, Side.SELL)]
    world.give(*world.fill(sent[0]))
    assert is_hedged(world)


@pytest.mark.parametrize(("age_s", "leaves"), [(7, True), (29, True), (31, False)])
def test_what_shrinks_may_take_an_older_book(age_s: int, leaves: bool) -> None:
    world = hedged(strategy={"heartbeat_s": 60.0})
    now = world.at_ns + age_s * SECOND_NS
    old_ns = world.at_ns
    world.give(Tick({SPOT: now, LINEAR: old_ns}, {}), after_s=float(age_s))
    world.give(world.book(SPOT, 60_000.0, 60_000.0), FLATTEN)
    assert bool(world.placed()) is leaves


def test_an_order_that_nobody_vouches_for_is_told_although_the_legs_look_hedged() -> None:
    world = hedged()
    world.give(FLATTEN)
    orders = world.placed()
    world.give(*[OrderUncertain(order.client_id, "deadline") for order in orders])
    for _ in range(9):
        beat(world, *world.books(60_000.0, 0.0))
    key = "unanswered:BTC"
    assert key not in [one.key for one in world.commands if isinstance(one, RaiseAlert)]
    for _ in range(6):
        beat(world, *world.books(60_000.0, 0.0))
    assert key in [one.key for one in world.commands if isinstance(one, RaiseAlert)]
