"""The coin that Binance takes spot's fees from, as its answer on an account's commission says.

Fees are paid from it, at a discount, while the account holds some; else in what is received.

Source: account/commission in binance_sdk_spot 13.3.0 (2026-11-20), whose `discount` is switched on by account
and by symbol.
"""

from __future__ import annotations

from msgspec import Struct, field

from adapters.binance.decoding import Drift, reader


class _Discount(Struct):
    of_account: bool | None = field(name="enabledForAccount", default=None)
    of_symbol: bool | None = field(name="enabledForSymbol", default=None)
    asset: str | None = field(name="discountAsset", default=None)


class _Commission(Struct):
    discount: _Discount | None = None


_decode = reader(_Commission)


def fee_coin(commission: bytes) -> str | None:
    """The coin; empty: none; ``None`` where the venue does not say."""
    try:
        discount = _decode(commission).discount
    except Drift:
        return None  # what it says of the rates is for `instruments` to judge
    if discount is None or discount.of_account is None or discount.of_symbol is None:
        return None
    return discount.asset if discount.of_account and discount.of_symbol else ""
