"""Laws of the guard, for any book and any group.

The arithmetic of the worst case is written anew here, by trying every subset of fills.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.commands import PlaceOrder
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from bot.model.store import OrderState, Store
from risk.guard import Admitted, Refused, admit
from tests.risk import build
from tests.risk.build import BTC, INVERSE, LINEAR, NOW, D

EXPOSURE = {
    "order_notional", "order_qty", "pair_notional", "venue_notional", "gross_notional", "net_delta", "naked",
    "leverage", "margin_ratio", "liquidation_distance", "initial_margin", "balance",
}  # fmt: skip
PER_BASE = {LINEAR: D(1), INVERSE: D(600)}

lots = st.integers(-40, 40)
sides = st.sampled_from(Side)
roles = st.sampled_from(Role)


def quantity(role: Role, name: InstrumentId, hundredths: int) -> Decimal:
    """Hundredths of a coin, in the leg's own unit."""
    return D(hundredths) / 100 * (D(1) if role is Role.LONG else PER_BASE[name])


@st.composite
def books(draw: st.DrawFn) -> tuple[Store, InstrumentId]:
    """A pair with any position and any orders in flight, and limits of the same size as they are."""
    name = draw(st.sampled_from((LINEAR, INVERSE)))
    config = build.make_config(
        name,
        draw(st.sampled_from(("baseline", "spot_leg"))),
        order_notional_max_quote=D(draw(st.integers(1, 60))) * 600,
        pair_notional_max_quote=D(draw(st.integers(1, 120))) * 600,
        venue_notional_max_quote=D(draw(st.integers(1, 200))) * 600,
        gross_notional_max_quote=D(draw(st.integers(1, 200))) * 600,
        net_delta_max_quote=D(draw(st.integers(1, 60))) * 600,
        naked_max_quote=D(draw(st.integers(1, 60))) * 600,
        leverage_max=float(draw(st.integers(1, 5))),
        margin_ratio_min=float(draw(st.integers(1, 40))),
        liquidation_distance_min=draw(st.integers(0, 9)) / 10,
    )
    store = build.make_store(
        config, cash=str(draw(st.integers(1, 90)) * 600), coins=str(draw(st.integers(0, 2)))
    )
    build.hold(store, Role.LONG, str(abs(draw(lots)) / D(100)))
    build.hold(store, Role.SHORT, str(quantity(Role.SHORT, name, draw(lots))))
    for number in range(draw(st.integers(0, 3))):
        role = draw(roles)
        size = quantity(role, name, draw(st.integers(1, 20)))
        order = build.place(
            role, draw(sides), str(size), client_id=ClientId(f"live{number}"),
            instrument=store.pairs[BTC].spec.instrument(role),
        )  # fmt: skip
        build.live(store, order, draw(st.sampled_from((OrderState.SENT, OrderState.OPEN))), sent_ns=number)
    return store, name


@st.composite
def groups(draw: st.DrawFn, name: InstrumentId) -> tuple[PlaceOrder, ...]:
    legs = draw(st.sampled_from(((Role.LONG,), (Role.SHORT,), (Role.SHORT, Role.LONG))))
    size = draw(st.integers(1, 30))
    return tuple(
        build.place(
            role, draw(sides), str(quantity(role, name, size)), draw(st.sampled_from(Purpose)),
            instrument=name if role is Role.SHORT else build.SPOT,
        )
        for role in legs
    )  # fmt: skip


def worst(store: Store, group: tuple[PlaceOrder, ...]) -> dict[str, Decimal]:
    """Notional of the larger leg, of both, and delta, over every subset of fills (at one price, as built)."""
    pair = store.pairs[BTC]
    moves = [
        (order.role, order.side.sign * order.open_qty)
        for order in store.orders.values()
        if order.state.is_live
    ]
    moves += [(order.role, order.side.sign * order.qty) for order in group]
    in_quote = {role: D(100) if pair.spec.instrument(role) == INVERSE else build.PRICE for role in Role}
    found = {"pair": D(0), "naked": D(0)}
    legs = {role: D(0) for role in Role}
    for count in range(len(moves) + 1):
        for filled in combinations(moves, count):
            values = {
                role: (pair.leg(role).position.qty + sum((qty for on, qty in filled if on is role), D(0)))
                * in_quote[role]
                for role in Role
            }
            for role in Role:
                legs[role] = max(legs[role], abs(values[role]))
            found["naked"] = max(found["naked"], abs(sum(values.values(), D(0))))
    found["pair"], found["gross"] = max(legs.values()), sum(legs.values(), D(0))
    return found


@settings(max_examples=400, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_admitted_group_raises_a_worst_case_above_its_limit(data: st.DataObject) -> None:
    store, name = data.draw(books())
    group = data.draw(groups(name))
    verdict = admit(store, NOW, group)
    if isinstance(verdict, Refused):
        return
    assert all(type(one) is Admitted for one in verdict)
    assert store.config is not None
    limits, before, after = store.config.limits, worst(store, ()), worst(store, group)
    dust = D("0.01")  # an inverse delta is rounded to eight places of a coin
    for measure, limit in (
        ("pair", limits.pair_notional_max_quote),
        ("gross", limits.gross_notional_max_quote),
        ("naked", limits.naked_max_quote),
    ):
        raised = after[measure] > before[measure] + dust and after[measure] > limit + dust
        assert not raised or shrinks_by_itself(store, group), measure


def shrinks_by_itself(store: Store, group: tuple[PlaceOrder, ...]) -> bool:
    """Both legs fall, or the delta does: written in quantities of the base currency."""
    pair = store.pairs[BTC]
    held = {role: pair.leg(role).position.qty / unit(store, role) for role in Role}
    left = dict(held)
    for order in group:
        left[order.role] += order.side.sign * order.qty / unit(store, order.role)
    if all(abs(left[role]) < abs(held[role]) for role in Role):
        return True
    return abs(sum(left.values(), D(0))) < abs(sum(held.values(), D(0)))


def unit(store: Store, role: Role) -> Decimal:
    return PER_BASE[store.pairs[BTC].spec.short] if role is Role.SHORT else D(1)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(data=st.data(), factor=st.integers(2, 5))
def test_a_larger_order_is_never_admitted_where_a_smaller_was_refused(
    data: st.DataObject, factor: int
) -> None:
    store, name = data.draw(books())
    group = data.draw(groups(name))
    small = admit(store, NOW, group)
    if not isinstance(small, Refused) or small.rule not in EXPOSURE:
        return
    larger = tuple(build.replace(order, qty=order.qty * factor) for order in group)
    assert isinstance(admit(store, NOW, larger), Refused), small


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_the_guard_only_looks(data: st.DataObject) -> None:
    """Asked twice it says the same, and the store is as it was."""
    store, name = data.draw(books())
    group = data.draw(groups(name))
    before = build.state(store)
    first, second = admit(store, NOW, group), admit(store, NOW, group)
    assert build.state(store) == before
    if isinstance(first, Refused):
        assert first == second
    else:
        assert not isinstance(second, Refused)
        assert [one.command for one in first] == [one.command for one in second]


def test_the_cases_above_are_of_both_kinds() -> None:
    """An entry within such a limit is admitted, one beyond it is not."""
    store = build.make_store(build.make_config(LINEAR, pair_notional_max_quote=D(36_000)))
    assert not isinstance(admit(store, NOW, build.entry("0.3", "0.3")), Refused)
    assert isinstance(admit(store, NOW, build.entry("0.7", "0.7")), Refused)
