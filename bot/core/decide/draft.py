"""The orders of one proposal: priced, numbered as the store will, and admitted as one group.

What must stay true: nothing is decided that the guard refuses, and a group goes only if each of its orders
can execute at its limit against the book as it stands.
"""

from __future__ import annotations

from decimal import Decimal

from bot.core import views
from bot.core.decide import pricing
from bot.core.decide.idle import Idle, of_refusal
from bot.model.commands import AnyWhy, PlaceOrder, TimeInForce
from bot.model.config import Config
from bot.model.ids import client_id
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from bot.model.store import Market, Pair, Store, indexed
from risk import guard
from risk.guard import Admitted, Refused

Decided = tuple[Admitted, ...]


class Draft:
    """Builds the orders of one proposal.  ``forced``: by force, so that limits widen with each attempt."""

    def __init__(
        self,
        store: Store,
        config: Config,
        pair: Pair,
        at_ns: int,
        why: tuple[Purpose, AnyWhy],
        *,
        forced: bool,
    ) -> None:
        self.store, self.config, self.pair, self.at_ns, self.forced = store, config, pair, at_ns, forced
        self.purpose, self.why = why
        self.orders: list[PlaceOrder] = []
        indexed(store).drafted = True

    def add(self, role: Role, side: Side, qty: Decimal, reduce_only: bool) -> Idle | None:
        """Add one taker, or say why it has no price."""
        market = views.leg_market(self.store, self.pair, role)
        name = market.instrument.id
        opening = self.purpose is Purpose.ENTER
        around = pricing.reference(self.config, market, self.at_ns, opening)
        if around is None:
            return Idle("missing_index", name)
        collar = pricing.collar_bps(self.config, self.pair, self.at_ns, self.forced)
        slippage = pricing.slippage_bps(self.config, self.pair, collar, self.forced)
        price = pricing.limit_price(market, side, qty, slippage, collar, around)
        arrival_mid = views.mid(market)
        if price is None or arrival_mid is None:
            return Idle("no_book", name)
        if not pricing.meets_book(market, side, price):
            return beyond_collar(market, side, around, collar, forced=self.forced)
        number = self.store.next_order + len(self.orders)
        self.orders.append(
            PlaceOrder(
                client_id=client_id(self.config.bot_tag, self.store.run_id, number),
                pair=self.pair.spec.name,
                role=role,
                instrument=name,
                side=side,
                qty=qty,
                price=price,
                tif=TimeInForce.IOC,
                reduce_only=reduce_only,
                purpose=self.purpose,
                arrival_mid=arrival_mid,
                why=self.why,
            )
        )
        return None

    def admitted(self, count: int | None = None) -> Decided | Idle:
        """What the guard says of the first ``count`` orders (all of them) as one group."""
        verdict = guard.admit(self.store, self.at_ns, tuple(self.orders[:count]))
        return of_refusal(verdict) if isinstance(verdict, Refused) else verdict


def beyond_collar(market: Market, side: Side, around: Decimal, collar: float, *, forced: bool) -> Idle:
    """No level of the book lies inside the collar, or inside the venue's band."""
    code = "beyond_exit_collar" if forced else "price_beyond_collar"
    away = pricing.distance_bps(market, side, around)
    return Idle(code, f"{market.instrument.id} {away:.1f}", f"{collar:g}")
