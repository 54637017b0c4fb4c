"""An agreement of an account with its ledger has an age, and an incomplete report is none."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.model.commands import QueryAccount, RaiseAlert
from bot.model.facts import AccountReported, Booted, Channel, ChannelOpened, InstrumentListed, PositionHeld
from bot.model.ids import AccountId
from bot.model.instrument import Position
from risk.watch import COMPARING_NS, holds
from tests.core.world import BTC, LINEAR, SECOND_NS, World, hedged, make_config

D = Decimal
USDM = AccountId("binance:usdm")
SPOT_ACCOUNT = AccountId("binance:spot")


def codes(world: World) -> list[str]:
    return [hold.code for hold in holds(world.store, world.at_ns, world.store.pairs[BTC])]


def alerts(world: World) -> list[str]:
    return [
        one.text for one in world.commands if isinstance(one, RaiseAlert) and one.key == f"reconcile:{USDM}"
    ]


def until_overdue(world: World, *reports: AccountReported) -> None:
    """Time passes until the last agreement of USD-M is too old; spot agrees all the while."""
    limit_s = 2 * world.config.strategy.reconcile_s + COMPARING_NS / SECOND_NS
    for _ in range(4):
        for report in reports:
            world.give(report)
        world.give(world.report(SPOT_ACCOUNT))
        world.tick(after_s=limit_s / 4 + 1)


def incomplete(report: AccountReported, *unread: str, rows: int = 1) -> AccountReported:
    return msgspec.structs.replace(report, unread_rows=rows, unread=unread)


def test_an_agreement_that_is_too_old_opens_nothing_and_is_told_once() -> None:
    world = hedged()
    world.give(world.report(USDM))
    assert "not_reconciled" not in codes(world)
    world.commands.clear()
    until_overdue(world)
    assert world.store.accounts[USDM].reconciled, "nothing was said against it"
    assert "not_reconciled" in codes(world)
    world.tick()
    assert len(alerts(world)) == 1
    world.give(world.report(USDM))
    assert "not_reconciled" not in codes(world)


def test_what_an_incomplete_report_says_is_compared() -> None:
    world = hedged()
    assert world.positions[LINEAR].qty < 0
    world.give(incomplete(world.report(USDM)))
    assert world.store.accounts[USDM].differences == ()
    gone = msgspec.structs.replace(world.report(USDM), positions=())
    world.give(incomplete(gone))
    account = world.store.accounts[USDM]
    assert account.differences[0].startswith(f"{LINEAR}: venue 0, ledger -")
    assert "not_reconciled" in codes(world)


def test_incomplete_reports_are_no_agreement() -> None:
    world = hedged()
    world.give(world.report(USDM))
    told_ns, agreed_ns = world.store.accounts[USDM].told_ns, world.store.accounts[USDM].agreed_ns
    world.commands.clear()
    until_overdue(world, incomplete(world.report(USDM), rows=2))
    account = world.store.accounts[USDM]
    assert (account.told_ns, account.agreed_ns) == (told_ns, agreed_ns), (
        "payments since then are asked for again"
    )
    assert "not_reconciled" in codes(world)
    (text,) = alerts(world)
    assert "2 rows of its last report are unread" in text


@pytest.mark.parametrize("unread", ["USDT", LINEAR])
def test_what_nobody_could_read_stays_as_it_was_and_differs_from_nothing(unread: str) -> None:
    world = hedged()
    world.give(world.report(USDM))
    before = world.store.accounts[USDM]
    wallet, position = before.balances["USDT"], before.positions[LINEAR]
    report = world.report(USDM)
    if unread == LINEAR:
        report = msgspec.structs.replace(report, positions=())
    else:
        report = msgspec.structs.replace(report, balances={})
    world.give(incomplete(report, unread))
    account = world.store.accounts[USDM]
    assert account.differences == ()
    assert (account.balances["USDT"], account.positions[LINEAR]) == (wallet, position)


def test_an_incomplete_report_is_never_taken_over() -> None:
    world = World(make_config())
    world.give(
        Booted("0run0000", "0", world.config, "none"),
        *(InstrumentListed(one) for one in world.instruments),
        *(ChannelOpened(account, channel) for account in world.wallets for channel in Channel),
    )
    held = (PositionHeld(LINEAR, D(1), D(60_000)),)
    report = msgspec.structs.replace(world.report(USDM), positions=held)
    world.commands.clear()
    world.give(incomplete(report))
    assert world.store.accounts[USDM].baseline is None
    assert [one for one in world.commands if isinstance(one, QueryAccount)] == [], "it is not asked at once"
    for _ in range(11):
        world.tick()
    assert USDM in [one.account for one in world.commands if isinstance(one, QueryAccount)]
    world.give(report)
    assert world.store.accounts[USDM].baseline_positions == {LINEAR: Position(D(1), D(60_000))}
