"""Costs of positions and facts of payments."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.binance import statements
from adapters.binance.decoding import Drift
from adapters.binance.statements import Income, PositionStated
from bot.model.facts import InsuranceCharged, PositionHeld, Transferred
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Instrument, Position, after_fill, reference_per_qty, unrealised
from bot.model.money import COIN_QUANTUM, divide, exact_arithmetic, nearest_to
from tests.adapters.binance.decoders import DECODERS, samples

ACCOUNT = AccountId("binance:usdm")
SAMPLES = samples()


def contract(market: str) -> Instrument:
    sample = SAMPLES[f"{market}.reference"]
    found = DECODERS[sample.decoder](market, bytes(sample.wire))
    assert isinstance(found, Instrument)
    return found


LINEAR, INVERSE = contract("usdm"), contract("coinm")


def stated(instrument: Instrument, held: Position, mark: Decimal) -> PositionStated:
    """A position as the venue states it: profit to eight places, a linear entry price to one, an inverse
    one's to eight."""
    profit = unrealised(instrument, held.qty, held.cost, reference_per_qty(instrument, mark))
    if instrument.inverse:
        entry = divide(held.qty * instrument.contract_size, held.cost, COIN_QUANTUM)
    else:
        entry = divide(held.cost, held.qty, Decimal("0.1"))
    return PositionStated(instrument.id, "BOTH", held.qty, entry, mark, nearest_to(profit, COIN_QUANTUM), 0)


fills = st.lists(
    st.tuples(st.integers(-400, 400).filter(bool), st.integers(200_000, 2_000_000)), min_size=1, max_size=8
)


@given(fills=fills, mark=st.integers(20_000_00000000, 200_000_00000000))
def test_the_cost_of_a_position_is_given_back_to_the_last_place(
    fills: list[tuple[int, int]], mark: int
) -> None:
    for instrument, lot in ((LINEAR, Decimal("0.001")), (INVERSE, Decimal(1))):
        with exact_arithmetic():
            held = Position()
            for lots, price in fills:
                held, _ = after_fill(instrument, held, lots * lot, Decimal(price) * Decimal("0.1"))
            if held.qty == 0:
                continue
            position = stated(instrument, held, Decimal(mark) * COIN_QUANTUM)
            assert statements.held(instrument, position) == PositionHeld(instrument.id, held.qty, held.cost)


def test_an_inverse_position_without_entry_price_is_drift() -> None:
    position = PositionStated(INVERSE.id, "BOTH", Decimal(3), Decimal(0), Decimal(1), Decimal(0), 0)
    with pytest.raises(Drift, match="entry price"):
        statements.cost(INVERSE, position)


@pytest.mark.parametrize(
    ("kind", "amount", "fact"),
    [
        ("FUNDING_FEE", "1", None),
        ("COMMISSION", "-1", None),
        ("REALIZED_PNL", "1", None),
        ("DELIVERED_SETTELMENT", "1", None),
        ("TRANSFER", "-5", Transferred(ACCOUNT, "USDT", Decimal(-5), "t", 7)),
        ("WELCOME_BONUS", "5", Transferred(ACCOUNT, "USDT", Decimal(5), "t", 7)),
        ("A_KIND_OF_NEXT_YEAR", "5", Transferred(ACCOUNT, "USDT", Decimal(5), "t", 7)),
        ("INSURANCE_CLEAR", "-5", InsuranceCharged(ACCOUNT, "USDT", Decimal(5), "t", 7)),
    ],
)
def test_a_payment_becomes_the_fact_of_its_kind(kind: str, amount: str, fact: object) -> None:
    row = Income(kind, None, "USDT", Decimal(amount), "t", "", 7)
    assert statements.income_fact(ACCOUNT, row) == fact


def test_payments_that_share_an_id_are_told_apart_by_kind_and_symbol() -> None:
    rest = '"income":"1","asset":"BTC","info":"","time":1'
    body = (
        f'[{{"symbol":"","incomeType":"TRANSFER","tranId":"9","tradeId":"",{rest}}},'
        f'{{"symbol":"A","incomeType":"COMMISSION","tranId":9,"tradeId":3,{rest}}},'
        f'{{"symbol":"B","incomeType":"COMMISSION","tranId":9,{rest}}}]'
    ).encode()
    rows = statements.income("coinm", body)
    assert [row.transaction_id for row in rows] == ["TRANSFER:9", "COMMISSION:9:A", "COMMISSION:9:B"]
    assert [row.instrument for row in rows] == [
        None, InstrumentId("binance:coinm:A"), InstrumentId("binance:coinm:B"),
    ]  # fmt: skip


def test_settings_of_an_account_are_read_back() -> None:
    assert statements.hedge_mode(b'{"dualSidePosition":true}') is True
    config = statements.symbol_configs(
        "usdm", b'[{"symbol":"BTCUSDT","marginType":"ISOLATED","leverage":"21"}]'
    )
    assert (config[0].leverage, config[0].cross) == (21, False)
    with pytest.raises(Drift):
        statements.symbol_configs("usdm", b'[{"symbol":"BTCUSDT","marginType":"CROSSED","leverage":"lots"}]')
    with pytest.raises(Drift):
        statements.ticker_price(b"[]")
