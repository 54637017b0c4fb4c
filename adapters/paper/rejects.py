"""Why the venue refuses an order, in the venue's own codes and words.

Codes and texts are those of Binance's public error-code pages (spot; USD-M and COIN-M futures), because the
core's rules for a reject are written against them.  One code is ours: ``PAPER_NO_BOOK``.  A real venue always
has a book; the simulated one has only what the recording shows and refuses to invent the rest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from bot.model.commands import PlaceOrder
from bot.model.instrument import Instrument, notional_quote
from bot.model.money import is_multiple, text


class Reject(NamedTuple):
    code: str
    reason: str


NO_BOOK = Reject("PAPER_NO_BOOK", "The recording has no valid book for this instrument now.")
BAD_SYMBOL = Reject("-1121", "Invalid symbol.")
UNKNOWN_ORDER = Reject("-2011", "Unknown order sent.")
SPOT_BALANCE = Reject("-2010", "Account has insufficient balance for requested action.")
SPOT_POST_ONLY = Reject("-2010", "Order would immediately match and take.")
SPOT_DUPLICATE = Reject("-2010", "Duplicate order sent.")
MARGIN = Reject("-2019", "Margin is insufficient.")
REDUCE_ONLY = Reject("-2022", "ReduceOnly Order is rejected.")
MAX_POSITION = Reject("-2027", "Exceeded the maximum allowable position at current leverage.")
POST_ONLY = Reject(
    "-5022", "Due to the order could not be executed as maker, the Post Only order will be rejected."
)
FILL_OR_KILL = Reject(
    "-5021", "Due to the order could not be filled immediately, the FOK order has been rejected."
)
DUPLICATE = Reject("-4116", "ClientOrderId is duplicated.")


def post_only(instrument: Instrument) -> Reject:
    return SPOT_POST_ONLY if instrument.is_spot else POST_ONLY


def duplicate(instrument: Instrument) -> Reject:
    return SPOT_DUPLICATE if instrument.is_spot else DUPLICATE


def filter_failure(instrument: Instrument, order: PlaceOrder, reference: Decimal) -> Reject | None:
    """The first filter of the instrument that the order breaks, or ``None``.

    ``reference`` is the price that the percent-price filter is relative to, quote currency.  A reduce-only
    futures order is exempt from the minimum notional, as the venue documents.
    """
    if instrument.is_spot:
        return _spot_failure(instrument, order, reference)
    return _futures_failure(instrument, order, reference)


def _spot_failure(instrument: Instrument, order: PlaceOrder, reference: Decimal) -> Reject | None:
    if order.price <= 0 or not is_multiple(order.price, instrument.tick):
        return Reject("-1013", "Filter failure: PRICE_FILTER")
    if not instrument.qty_min <= order.qty <= instrument.qty_max or not is_multiple(
        order.qty, instrument.lot
    ):
        return Reject("-1013", "Filter failure: LOT_SIZE")
    if notional_quote(instrument, order.qty, order.price) < instrument.notional_min:
        return Reject("-1013", "Filter failure: NOTIONAL")
    if not reference * instrument.price_down <= order.price <= reference * instrument.price_up:
        return Reject("-1013", "Filter failure: PERCENT_PRICE")
    return None


def _futures_failure(instrument: Instrument, order: PlaceOrder, reference: Decimal) -> Reject | None:
    if order.price <= 0:
        return Reject("-4001", "Price less than 0.")
    if not is_multiple(order.price, instrument.tick):
        return Reject("-4014", "Price not increased by tick size.")
    if order.qty < instrument.qty_min:
        return Reject("-4004", "Quantity less than min quantity.")
    if order.qty > instrument.qty_max:
        return Reject("-4005", "Quantity greater than max quantity.")
    if not is_multiple(order.qty, instrument.lot):
        return Reject("-4023", "Qty not increased by step size.")
    least = instrument.notional_min
    if not order.reduce_only and notional_quote(instrument, order.qty, order.price) < least:
        return Reject(
            "-4164",
            f"Order's notional must be no smaller than {text(least)} (unless you choose reduce only).",
        )
    highest, lowest = reference * instrument.price_up, reference * instrument.price_down
    if order.price > highest:
        return Reject("-4016", f"Limit price can't be higher than {text(highest)}.")
    if order.price < lowest:
        return Reject("-4024", f"Limit price can't be lower than {text(lowest)}.")
    return None
