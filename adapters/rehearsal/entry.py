"""Order entry: a client's request becomes an order of the simulated venue, and its facts an order's record.

The venue checks in this order: parameters (`order_params`), names in use, open orders, then whatever
`PaperVenue` refuses (filters, funds, reduce-only, post-only).  A market order is sent as IOC at a limit five
per cent through the touch, within the percent-price filter; a market order sized in quote is sized at the
touch.  What must stay true: an order that is answered with an error never lived, and one that lived is
answered as what it then was.

Sources: new order and cancel order of spot, USD-M and COIN-M, filters, and error codes (2026-11-20).  That
spot answers ``MAX_NUM_ORDERS`` by -2010, since the matching engine knows it, is unverified.
"""

from __future__ import annotations

from decimal import Decimal

from adapters.errors import FeedError
from adapters.paper.rejects import filter_failure
from adapters.rehearsal.auth import Params, Refused
from adapters.rehearsal.history import History, MarketHistory, Placed
from adapters.rehearsal.order_params import (
    TIFS,
    check_position_side,
    read_kind,
    read_side,
    read_time_in_force,
)
from adapters.rehearsal.params import BAD_SYMBOL, amount, client_id, flag, text, unpriced, whole
from adapters.rehearsal.world import World
from bot.model.commands import CancelOrder, Flatten, PlaceOrder, TimeInForce
from bot.model.facts import CancelRejected
from bot.model.ids import ClientId, PairName, market_of
from bot.model.instrument import Instrument, Side
from bot.model.money import ONE, REFERENCE_QUANTUM, ZERO, ceil_to, divide, exact, exact_arithmetic, floor_to
from bot.model.pair import Purpose, Role

_FILTER = "Filter failure: "
_RESTRICTIONS = {"": "", "ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
_THROUGH = Decimal("0.05")  # how far beyond the touch a market order may fill


class Entry:
    """Places and cancels orders of one account on every market."""

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._history = history

    def instrument(self, market: str, params: Params, name: str = "symbol") -> Instrument:
        """The instrument a request names, or the venue's refusal."""
        instrument = self._world.instrument(market, text(params, name))
        if instrument is None:
            raise Refused(*BAD_SYMBOL)
        return instrument

    # --- placing ----------------------------------------------------------------------------------------

    def read(self, market: str, params: Params, dual_side: bool) -> Placed:
        """The order that ``params`` ask for, checked as far as the venue checks before it matches."""
        instrument = self.instrument(market, params)
        side = read_side(params)
        if market != "spot":
            check_position_side(params, dual_side)
        kind = read_kind(market, params)
        tif = read_time_in_force(market, kind, params)
        with exact_arithmetic():
            qty, price = self._size(instrument, side, kind, params)
        named = client_id(params, "newClientOrderId", market)
        kept = self._history.markets[market]
        if named in kept.by_client_id and kept.by_client_id[named].is_open:
            raise (
                Refused(-2010, "Duplicate order sent.")
                if market == "spot"
                else Refused(-4116, "ClientOrderId is duplicated.")
            )
        order_id = self._history.next_order_id()
        named = named or f"x-{order_id}"
        taken = named in self._world.orders
        at_ms = self._world.wire_ms(self._world.now_ns())
        return Placed(
            market=market,
            instrument=instrument,
            order_id=order_id,
            client_id=named,
            name=ClientId(f"{named}~{order_id}" if taken else named),
            side=side,
            kind=kind,
            tif=tif,
            price=price,
            qty=qty,
            spent=_spent(instrument, kind, params),
            reduce_only=market != "spot" and flag(params, "reduceOnly"),
            created_ms=at_ms,
            updated_ms=at_ms,
        )

    def judge(self, order: Placed) -> None:
        """Raises `Refused` for an order that breaks a filter or comes while its instrument does not trade;
        what only the matching knows (funds, positions, open orders) is not asked."""
        instrument, command = order.instrument, _command(order)
        closed = self._world.closed(command)
        if closed is not None:
            raise self._refused(order, closed.code, closed.reason)
        references = self._world.paper.venue.desk.references
        with exact_arithmetic():
            is_spot = instrument.is_spot
            reference = references.mid(instrument.id) if is_spot else references.mark(instrument.id)
            if reference is None:
                raise unpriced(order.market)
            failure = filter_failure(instrument, command, reference)
        if failure is not None:
            raise self._refused(order, *failure)

    def place(self, order: Placed) -> None:
        """Send ``order`` to the simulated venue.  Raises `Refused` in the venue's words."""
        self._check_open(order)
        before = self._history.markets[order.market].by_client_id.get(order.client_id)
        self._history.begin(order)
        try:
            self._world.arrive(_command(order))
        except FeedError as error:  # the recording has not said the mark price yet
            self._history.drop(order, before)
            raise unpriced(order.market) from error
        if order.refusal is not None:
            self._history.drop(order, before)
            code, reason = order.refusal
            if not code.removeprefix("-").isdigit():  # the recording has no book just now
                raise unpriced(order.market)
            raise self._refused(order, code, reason)

    def _check_open(self, order: Placed) -> None:
        """Not more open orders on an instrument than its filter allows; a market order never is one."""
        name = order.instrument.id
        living = sum(one.instrument.id == name for one in self._history.open_orders(order.market))
        if order.kind == "MARKET" or living < self._world.catalog.orders_max(name):
            return
        if order.market == "spot":
            raise Refused(-2010, f"{_FILTER}MAX_NUM_ORDERS")
        raise Refused(-2025, "Reach max open order limit.")

    def _refused(self, order: Placed, code: str, reason: str) -> Refused:
        """A refusal of the simulated venue, its filter by the name that exchangeInfo tells."""
        kind = reason.removeprefix(_FILTER)
        if kind != reason:
            reason = _FILTER + self._world.catalog.filter_name(order.instrument.id, kind)
        return Refused(int(code), reason)

    def _size(self, instrument: Instrument, side: Side, kind: str, params: Params) -> tuple[Decimal, Decimal]:
        """Quantity and limit, venue units and quote currency."""
        if kind != "MARKET":
            qty, price = amount(params, "quantity"), amount(params, "price")
        else:
            price = self._market_limit(instrument, side)
            spent = _spent(instrument, kind, params)
            if spent:
                bought = divide(spent, self._touch(instrument, side), REFERENCE_QUANTUM)
                qty = floor_to(bought, instrument.lot)
            else:
                qty = amount(params, "quantity")
        _check_precision(instrument, "quantity", qty, instrument.lot)
        _check_precision(instrument, "price", price, instrument.tick)
        if qty == 0:
            raise (
                Refused(-1013, "Invalid quantity.")
                if instrument.is_spot
                else Refused(-4003, "Quantity less than or equal to zero.")
            )
        return qty, price

    def _touch(self, instrument: Instrument, side: Side) -> Decimal:
        touch = self._world.stages[market_of(instrument.id)].channels[instrument.id].touch()
        if touch is None:
            raise unpriced(market_of(instrument.id))
        return exact(touch[1] if side is Side.BUY else touch[0])

    def _market_limit(self, instrument: Instrument, side: Side) -> Decimal:
        touch, references = self._touch(instrument, side), self._world.paper.venue.desk.references
        reference = touch if instrument.is_spot else references.mark(instrument.id)
        if side is Side.BUY:
            return floor_to(min(touch * (ONE + _THROUGH), reference * instrument.price_up), instrument.tick)
        return ceil_to(max(touch * (ONE - _THROUGH), reference * instrument.price_down), instrument.tick)

    # --- cancelling -------------------------------------------------------------------------------------

    def find(self, market: str, params: Params, client_name: str = "origClientOrderId") -> Placed | None:
        """The order that a request names by number or by its client's name; the number counts first, and on
        spot the name must be its own."""
        instrument = self.instrument(market, params)
        number, name = whole(params, "orderId"), params.get(client_name, "")
        kept: MarketHistory = self._history.markets[market]
        if number is not None:
            order = kept.orders.get(number)
            if order is not None and market == "spot" and name not in ("", order.client_id):
                raise Refused(-2039, "Client order ID is not correct for this order ID.")
        else:
            if not name:
                raise Refused(
                    -1102,
                    f"Param '{client_name}' or 'orderId' must be sent, but both were empty/null!",
                )
            order = kept.by_client_id.get(name)
        return order if order is not None and order.instrument.id == instrument.id else None

    def cancel(self, market: str, params: Params) -> Placed:
        """Cancel the order that ``params`` name.  Raises `Refused` when none such lives."""
        only = params.get("cancelRestrictions", "") if market == "spot" else ""
        if only not in _RESTRICTIONS:
            raise Refused(-1145, "cancelRestrictions has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED.")
        order = self.find(market, params)
        if order is None or not order.is_open:
            raise Refused(-2011, "Unknown order sent.")
        if only and order.status != _RESTRICTIONS[only]:
            raise Refused(-2011, "Order was not canceled due to cancel restrictions.")
        order.cancel_id = client_id(params, "newClientOrderId", market) or f"c-{order.order_id}"
        self._withdraw(order)
        return order

    def cancel_all(self, market: str, params: Params) -> list[Placed]:
        """Cancel every open order of one instrument."""
        instrument = self.instrument(market, params)
        orders = [one for one in self._history.open_orders(market) if one.instrument.id == instrument.id]
        for order in orders:
            order.cancel_id = f"c-{order.order_id}"
            self._withdraw(order)
        return orders

    def _withdraw(self, order: Placed) -> None:
        if order.stop != 0:  # the simulated venue knows no stops
            self._history.end(order, "CANCELED")
            return
        facts = self._world.arrive(CancelOrder(order.name, order.instrument.id, "asked by the client"))
        if any(isinstance(fact, CancelRejected) and fact.client_id == order.name for fact in facts):
            raise Refused(-2011, "Unknown order sent.")


def _spent(instrument: Instrument, kind: str, params: Params) -> Decimal:
    """What a spot market order that is sized in quote shall spend; zero for every other order."""
    sized = kind == "MARKET" and instrument.is_spot and params.get("quoteOrderQty")
    return amount(params, "quoteOrderQty") if sized else ZERO


def _check_precision(instrument: Instrument, name: str, value: Decimal, step: Decimal) -> None:
    """More decimals than the venue writes for this instrument; spot allows eight."""
    digits, allowed = _places(value.normalize()), 8 if instrument.is_spot else _places(step)
    if digits > allowed:
        raise (
            Refused(-1111, f"Parameter '{name}' has too much precision.")
            if instrument.is_spot
            else Refused(-1111, "Precision is over the maximum defined for this asset.")
        )


def _places(value: Decimal) -> int:
    return max(-int(value.as_tuple().exponent), 0)


def _command(order: Placed) -> PlaceOrder:
    """What the simulated venue is asked for; whose pair and purpose it is means nothing to it."""
    return PlaceOrder(
        client_id=order.name,
        pair=PairName(""),
        role=Role.LONG,
        instrument=order.instrument.id,
        side=order.side,
        qty=order.qty,
        price=order.price,
        tif=TimeInForce.IOC if order.kind == "MARKET" else TIFS[order.tif],
        reduce_only=order.reduce_only,
        purpose=Purpose.ENTER,
        arrival_mid=order.price,
        why=Flatten(""),
    )
