"""What the venue says of an account's settings and of a contract's status, as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from adapters.rehearsal import account as requests
from adapters.rehearsal.faults import fault
from adapters.rehearsal.levers import VenueLevers
from bot.model.commands import QueryAccount
from bot.model.facts import (
    AccountReported,
    AccountSet,
    ContractSet,
    InstrumentStatusSeen,
    OrderRejected,
    PositionSeen,
)
from bot.model.instrument import Instrument, Side
from tests.adapters.paper.build import INVERSE, LINEAR, SPOT
from tests.rehearsal.rehearsed import ACCOUNTS, Rehearsed
from tests.rehearsal.test_gateway_account import ALL, buy, of, order

CONTRACTS = [("usdm", LINEAR), ("coinm", INVERSE)]


@pytest.fixture
def at() -> Iterator[Rehearsed]:
    venue = Rehearsed("ws", "memory", legs=ALL)
    venue.act(seconds=0.5)
    yield venue
    venue.close()


def symbol(instrument: Instrument) -> dict[str, str]:
    return {"symbol": instrument.id.rsplit(":", 1)[1]}


def test_how_an_account_is_set_is_told_before_its_first_report(at: Rehearsed) -> None:
    at.reboot()
    facts = at.send(QueryAccount(LINEAR.account))
    kinds = [type(fact) for fact in facts]
    assert kinds.index(AccountSet) < kinds.index(ContractSet) < kinds.index(AccountReported)
    (stands,) = of(AccountSet, facts)
    assert (stands.account, stands.is_hedged, stands.is_multi_assets) == (LINEAR.account, False, False)
    assert [(one.leverage, one.is_cross) for one in of(ContractSet, facts)] == [(20, True)]
    assert not of(ContractSet, at.send(QueryAccount(LINEAR.account)))


@pytest.mark.parametrize(("market", "instrument"), CONTRACTS)
def test_leverage_and_margin_mode_are_told_as_somebody_sets_them(
    at: Rehearsed, market: str, instrument: Instrument
) -> None:
    to = symbol(instrument)
    for change, expected in (
        (lambda: requests.set_leverage(at.teller, market, {**to, "leverage": "2"}), (2, True)),
        (lambda: requests.set_margin_type(at.teller, market, {**to, "marginType": "ISOLATED"}), (2, False)),
        (lambda: requests.set_margin_type(at.teller, market, {**to, "marginType": "CROSSED"}), (2, True)),
    ):
        (told,) = of(ContractSet, at.act(change))
        assert (told.instrument, told.leverage, told.is_cross) == (instrument.id, *expected)


def test_multi_assets_mode_is_told_as_somebody_sets_it(at: Rehearsed) -> None:
    def change() -> None:
        requests.set_multi_assets(at.teller, "usdm", {"multiAssetsMargin": "true"})

    (told,) = of(AccountSet, at.act(change))
    assert (told.is_hedged, told.is_multi_assets) == (False, True)


@pytest.mark.parametrize("market", ["usdm", "coinm"])
def test_position_mode_that_no_event_tells_is_told_with_the_next_report_or_refusal(
    at: Rehearsed, market: str
) -> None:
    requests.set_position_mode(at.teller, market, {"dualSidePosition": "true"})
    assert of(AccountSet, at.act()) == []
    (told,) = of(AccountSet, at.send(QueryAccount(ACCOUNTS[market])))
    assert told.is_hedged
    requests.set_position_mode(at.teller, market, {"dualSidePosition": "false"})
    assert at.send(QueryAccount(ACCOUNTS[market]))
    requests.set_position_mode(at.teller, market, {"dualSidePosition": "true"})
    instrument = dict(CONTRACTS)[market]
    at.gateway.submit(order("1", instrument, Side.BUY, "1", "60000"))
    facts = at.act()
    assert [one.code for one in of(OrderRejected, facts)] == ["-4061"]
    assert [one.is_hedged for one in of(AccountSet, facts)] == [True]


def test_a_fault_sets_the_leverage_for_a_while(at: Rehearsed) -> None:
    levers = VenueLevers(at.world, at.teller)
    one = fault("settings", 0.0)
    assert [told.leverage for told in of(ContractSet, at.act(lambda: levers.pull(one)))] == [1, 1]
    at.act(lambda: levers.pull(one))
    assert [told.leverage for told in of(ContractSet, at.act(lambda: levers.release(one)))] == [20, 20]
    assert of(ContractSet, at.act(lambda: levers.release(one))) == []


@pytest.mark.parametrize(("market", "instrument"), CONTRACTS)
def test_a_contract_s_status_is_told_at_once(at: Rehearsed, market: str, instrument: Instrument) -> None:
    for word in ("SETTLING", "TRADING"):
        facts = at.act(partial(at.world.set_status, instrument.id, word), 0.2)
        (told,) = of(InstrumentStatusSeen, facts)
        assert (told.instrument, told.status) == (instrument.id, word)


def test_a_delivery_tells_that_the_contract_trades_no_more(at: Rehearsed) -> None:
    buy(at, "1", LINEAR)
    facts = at.act(lambda: at.world.deliver(LINEAR.id))
    assert [one.status for one in of(InstrumentStatusSeen, facts)] == ["SETTLING"]
    assert [one.qty for one in of(PositionSeen, facts)] == [0]


def test_spot_that_is_closed_is_noticed_by_the_order_that_it_refuses(at: Rehearsed) -> None:
    at.world.set_status(SPOT.id, "BREAK")
    assert of(InstrumentStatusSeen, at.act()) == []
    at.gateway.submit(order("1", SPOT, Side.BUY, "1", "60000"))
    facts = at.act()
    assert [one.reason for one in of(OrderRejected, facts)] == ["Market is closed."]
    assert [one.status for one in of(InstrumentStatusSeen, facts)] == ["BREAK"]
