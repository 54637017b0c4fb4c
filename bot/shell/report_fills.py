"""Fills and funding payments as the report tells them."""

from __future__ import annotations

from bot.model.commands import PlaceOrder
from bot.model.facts import ForcedFilled, FundingPaid, OrderFilled
from bot.model.money import text
from bot.quant.basis import BPS_PER_UNIT
from bot.shell.report_model import Fill, FundingPayment
from bot.shell.report_pairs import PairTally, role_of
from bot.shell.report_text import instant, sentence

_SLIPPAGE_DIGITS = 4  # of a basis point


def slippage_bps(fact: OrderFilled, order: PlaceOrder) -> float:
    """How much worse than the mid the decision saw, basis points of it; negative: better."""
    away = float(fact.price) / float(order.arrival_mid) - 1.0
    return round(fact.side.sign * away * BPS_PER_UNIT, _SLIPPAGE_DIGITS)


def fill_of(fact: OrderFilled, order: PlaceOrder | None) -> Fill:
    """``order`` is ``None`` for a fill of an order that the journal does not know."""
    return Fill(
        at=instant(fact.venue_ns),
        pair="" if order is None else order.pair,
        leg="" if order is None else order.role.value,
        instrument=fact.instrument,
        side=fact.side.value,
        qty=text(fact.qty),
        price=text(fact.price),
        fee=text(fact.fee),
        fee_asset=fact.fee_asset,
        maker=fact.maker,
        slippage_bps=None if order is None else slippage_bps(fact, order),
        purpose="unknown" if order is None else order.purpose.value,
        why="" if order is None else sentence(order.why),
        client_id=fact.client_id,
        trade_id=fact.trade_id,
    )


def forced_fill_of(fact: ForcedFilled, owner: PairTally | None) -> Fill:
    role = None if owner is None else role_of(owner, fact.instrument)
    return Fill(
        at=instant(fact.venue_ns),
        pair="" if owner is None else owner.name,
        leg="" if role is None else role.value,
        instrument=fact.instrument,
        side=fact.side.value,
        qty=text(fact.qty),
        price=text(fact.price),
        fee=text(fact.fee),
        fee_asset=fact.fee_asset,
        maker=False,
        slippage_bps=None,
        purpose="forced",
        why=fact.cause,
        client_id="",
        trade_id=fact.trade_id,
    )


def payment_of(fact: FundingPaid, owner: PairTally | None) -> FundingPayment:
    return FundingPayment(
        at=instant(fact.venue_ns),
        pair="" if owner is None else owner.name,
        instrument=fact.instrument,
        asset=fact.asset,
        amount=text(fact.amount),
        rate=text(fact.rate),
        mark=text(fact.mark),
        qty=text(fact.qty),
    )
