"""The leverage that is set at the venue bounds what is opened, and is what initial margin is asked at."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.model.commands import PlaceOrder
from bot.model.instrument import Side
from bot.model.pair import Purpose, Role
from risk.guard import Refused, admit
from risk.margin import initial, leverage_cap
from tests.instruments import INVERSE_TIERS, LINEAR_TIERS
from tests.risk import build
from tests.risk.build import LINEAR, NOW, ClientId, D, InstrumentId, Store, entry, instrument, leave, place


def make_store(short: InstrumentId = LINEAR) -> Store:
    """A leverage limit that the venue's setting leaves room for."""
    return build.make_store(build.make_config(short, leverage_max=20.0))


@pytest.mark.parametrize(
    ("leverage", "cap"), [(125, "50000"), (101, "50000"), (100, "600000"), (20, "100000000"), (126, "0")]
)
def test_the_largest_position_that_a_leverage_allows(leverage: int, cap: str) -> None:
    assert leverage_cap(instrument(LINEAR), leverage) == D(cap)


@pytest.mark.parametrize(
    ("leverage", "qty", "rule"),
    [
        (125, "0.833", None),  # 49,980 of 50,000
        (125, "0.834", "leverage_bracket"),
        (100, "0.834", None),
        (None, "0.834", None),  # nobody told
    ],
)
def test_what_opens_stays_below_the_cap_of_the_leverage_that_is_set(
    leverage: int | None, qty: str, rule: str | None
) -> None:
    store = make_store()
    store.markets[LINEAR].leverage = leverage
    verdict = admit(store, NOW, entry(qty, qty))
    assert (verdict.rule if isinstance(verdict, Refused) else None) == rule


def test_what_lives_counts_and_what_is_beyond_already_may_shrink() -> None:
    store = make_store()
    store.markets[LINEAR].leverage = 125
    build.live(store, place(Role.SHORT, Side.SELL, "0.8", client_id=ClientId("x")))
    verdict = admit(store, NOW, entry("0.1", "0.1"))
    assert isinstance(verdict, Refused)
    assert (verdict.rule, verdict.value, verdict.limit) == ("leverage_bracket", "54000", "50000")
    store = make_store()
    build.hedge(store, "2")
    store.markets[LINEAR].leverage = 125
    assert not isinstance(admit(store, NOW, leave("0.1", "0.1")), Refused)
    completes = place(Role.LONG, Side.BUY, "0.1", Purpose.REPAIR)
    build.hold(store, Role.SHORT, "-2.1")
    assert not isinstance(admit(store, NOW, (completes,)), Refused)  # the contract does not grow by it


def test_initial_margin_is_asked_at_the_leverage_that_is_set() -> None:
    one, per_qty = instrument(LINEAR), D(60_000)
    value = D("0.5") * per_qty
    assert initial(one, D("0.5"), per_qty) == value / 125
    assert initial(one, D("0.5"), per_qty, 20) == value / 20
    assert initial(one, D("0.5"), per_qty, 0) == value / 125  # the venue states none
    assert initial(one, D("2"), per_qty, 125) == D(120_000) / 100  # no more than its tier allows
    for cash, rule in (("305", None), ("302.99", "initial_margin")):  # 6,000 at 20×, and the fee of 3
        store = make_store()
        store.markets[LINEAR].leverage = 20
        store.ledger.cash[build.AccountId("binance:usdm")] = {"USDT": D(cash)}
        verdict = admit(store, NOW, entry("0.1", "0.1"))
        assert (verdict.rule if isinstance(verdict, Refused) else None) == rule


def test_the_cap_of_an_inverse_contract_is_in_coins() -> None:
    store = make_store(build.INVERSE)
    store.markets[build.INVERSE].leverage = 125
    at_cap = INVERSE_TIERS[0].cap * 60_000 / 100
    assert LINEAR_TIERS[0].cap != INVERSE_TIERS[0].cap
    for contracts, rule in ((at_cap - 1, None), (at_cap + 1, "leverage_bracket")):
        verdict = admit(store, NOW, inverse_entry(contracts))
        assert (verdict.rule if isinstance(verdict, Refused) else None) == rule


def inverse_entry(contracts: Decimal) -> tuple[PlaceOrder, PlaceOrder]:
    qty = str(contracts * 100 / 60_000)[:6]
    return entry(qty, str(contracts), instrument=build.INVERSE)
