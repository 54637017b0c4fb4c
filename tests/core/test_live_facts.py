"""What a live venue and an operator say beyond orders and money: stops, status, throttling, resets."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import views
from bot.model.commands import CancelOrder, QueryAccount, QueryOrder, RaiseAlert, SetMode
from bot.model.facts import (
    AccountReported,
    AccountSet,
    Booted,
    ContractSet,
    ForeignOrder,
    HistoryGapped,
    InstrumentListed,
    InstrumentStatusSeen,
    InsuranceCharged,
    InterestCharged,
    MarginCalled,
    OrderAccepted,
    OrderFilled,
    PositionHeld,
    RateSeen,
    SettingsChanged,
    Throttled,
    VenueReset,
)
from bot.model.ids import AccountId, ClientId, InstrumentId
from bot.model.instrument import Side
from bot.model.pair import Mode
from bot.model.store import OrderState
from risk import watch
from tests.core.world import BTC, LINEAR, SPOT, World, hedged, make_config, with_strategy

D = Decimal
USDM, SPOT_ACCOUNT = AccountId("binance:usdm"), AccountId("binance:spot")
SECOND_NS = 1_000_000_000


def hold_codes(world: World) -> list[str]:
    return [hold.code for hold in watch.holds(world.store, world.at_ns, world.store.pairs[BTC])]


def alerts(world: World) -> list[str]:
    found = [one.key for one in world.commands if isinstance(one, RaiseAlert)]
    world.commands = [one for one in world.commands if not isinstance(one, RaiseAlert)]
    return found


# --- settings, status, throttling -------------------------------------------------------------------------


def test_changed_settings_are_in_force_from_the_next_step() -> None:
    world = hedged()
    world.placed()
    world.give(SettingsChanged(with_strategy(world.config, exit_gap_bps=1000.0), "sighup"))
    assert [one.purpose.value for one in world.placed()] == ["exit", "exit"]


def test_an_instrument_that_does_not_trade_is_a_hold_until_it_does() -> None:
    world = hedged()
    world.give(InstrumentStatusSeen(LINEAR, "SETTLING", world.at_ns))
    assert hold_codes(world) == ["not_trading"]
    world.give(InstrumentStatusSeen(LINEAR, "TRADING", world.at_ns))
    assert hold_codes(world) == []
    told = [(one.key, one.severity) for one in world.commands if isinstance(one, RaiseAlert)]
    assert told == [(f"status:{LINEAR}", "critical"), (f"status:{LINEAR}", "info")]
    world.give(InstrumentStatusSeen(InstrumentId("binance:usdm:XUSDT"), "BREAK", world.at_ns))
    assert not [one for one in world.commands if isinstance(one, RaiseAlert)][2:]


def settings_alerts(world: World) -> list[tuple[str, str]]:
    told = [one for one in world.commands if isinstance(one, RaiseAlert)]
    world.commands = []
    return [(one.key, one.severity) for one in told]


def test_a_contract_that_is_set_otherwise_at_the_venue_is_held_and_told_once() -> None:
    world = hedged()
    world.commands = []
    world.give(ContractSet(LINEAR, 20, True, world.at_ns))
    assert (hold_codes(world), settings_alerts(world)) == ([], [])  # as it should be
    world.give(ContractSet(LINEAR, 2, True, world.at_ns))
    assert hold_codes(world) == ["leverage_low"]
    assert settings_alerts(world) == [(f"settings:{LINEAR}", "critical")]
    world.give(ContractSet(LINEAR, 2, True, world.at_ns))  # a restart tells it again
    assert settings_alerts(world) == []
    world.give(ContractSet(LINEAR, 20, False, world.at_ns))
    assert hold_codes(world) == ["isolated_margin"]
    assert settings_alerts(world) == []  # it stands, with other words
    world.give(ContractSet(LINEAR, 20, True, world.at_ns))
    assert hold_codes(world) == []
    assert settings_alerts(world) == [(f"settings:{LINEAR}", "info")]
    world.give(ContractSet(LINEAR, 50, True, world.at_ns))  # somebody set it, and it does
    assert settings_alerts(world) == [(f"settings:{LINEAR}", "info")]
    world.give(ContractSet(LINEAR, 50, True, world.at_ns))
    assert settings_alerts(world) == []
    world.give(ContractSet(InstrumentId("binance:usdm:XUSDT"), 1, False, world.at_ns))
    assert settings_alerts(world) == []


def test_what_is_read_first_is_told_where_it_does_not_do() -> None:
    world = hedged()
    world.commands = []
    world.give(ContractSet(LINEAR, 20, False, world.at_ns), AccountSet(USDM, False, True, world.at_ns))
    assert hold_codes(world) == ["multi_assets", "isolated_margin"]
    assert settings_alerts(world) == [(f"settings:{USDM}", "critical"), (f"settings:{LINEAR}", "critical")]
    world.give(AccountSet(USDM, True, False, world.at_ns))
    assert hold_codes(world) == ["hedge_mode", "isolated_margin"]
    assert settings_alerts(world) == []
    world.give(AccountSet(USDM, False, False, world.at_ns))
    assert settings_alerts(world) == [(f"settings:{USDM}", "info")]


def test_settings_at_the_venue_keep_nobody_from_leaving() -> None:
    world = hedged()
    world.placed()
    world.give(AccountSet(USDM, False, True, world.at_ns), ContractSet(LINEAR, 1, False, world.at_ns))
    world.give(SettingsChanged(with_strategy(world.config, exit_gap_bps=1000.0), "sighup"))
    assert [one.purpose.value for one in world.placed()] == ["exit", "exit"]


def test_a_venue_that_asks_for_silence_is_asked_nothing_until_then() -> None:
    world = World(make_config(capital=10_000))
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    long, _ = world.placed()
    world.give(Throttled(USDM, world.at_ns + 30 * SECOND_NS, "429", "too many requests"))
    assert "throttled" in hold_codes(world)
    world.commands = []
    world.tick(after_s=20.0)
    asked = [one for one in world.commands if isinstance(one, QueryOrder)]
    assert [one.client_id for one in asked] == [long.client_id]
    world.commands = []
    world.tick(after_s=11.0)
    assert len([one for one in world.commands if isinstance(one, QueryOrder)]) == 2
    assert "throttled" not in hold_codes(world)


# --- what others do on the account ------------------------------------------------------------------------


def test_an_order_of_somebody_else_holds_its_instrument_and_is_told_once() -> None:
    world = hedged()
    alerts(world)
    stop = ForeignOrder("web_1", LINEAR, Side.BUY, D("0.1"), "STOP_MARKET")
    report = msgspec.structs.replace(world.report(USDM), foreign_orders=(stop,))
    world.give(report)
    assert hold_codes(world) == ["foreign_order"]
    assert alerts(world) == ["foreign:binance:usdm"]
    world.give(report)
    assert alerts(world) == []
    world.give(world.report(USDM))
    assert hold_codes(world) == []
    assert not [one for one in world.commands if isinstance(one, CancelOrder)]


@pytest.mark.parametrize("told_by", ["report", "event"])
def test_an_order_of_an_unknown_run_is_a_second_daemon(told_by: str) -> None:
    world = hedged()
    other = ClientId("bsbtzzzzzzzz1")
    if told_by == "report":
        world.give(msgspec.structs.replace(world.report(USDM), open_orders=(other,)))
    else:
        world.give(OrderAccepted(other, "v", world.at_ns))
    assert world.store.mode is Mode.HALTED
    assert "zzzzzzzz" in world.store.mode_reason
    assert "0run0000" in world.store.mode_reason
    assert "halted" in alerts(world)


def test_an_order_of_an_earlier_run_is_a_difference_and_no_second_daemon() -> None:
    world = hedged()
    world.give(Booted("0run0001", "0", world.config, "crash"))
    world.give(msgspec.structs.replace(world.report(USDM), open_orders=(ClientId("bsbt0run0000zz"),)))
    assert world.store.mode is Mode.ACTIVE
    assert world.store.accounts[USDM].differences


def test_a_contract_position_of_before_is_baseline_and_holds_its_pair() -> None:
    world = World()
    held = (PositionHeld(LINEAR, D(1), D(60_000)),)
    world.give(Booted("0run0000", "0", world.config), *map(InstrumentListed, world.instruments))
    world.give(AccountReported(USDM, {"USDT": D(100_000)}, held, (), world.at_ns))
    account = world.store.accounts[USDM]
    assert account.reconciled
    assert account.baseline_positions[LINEAR].qty == 1
    assert "baseline_position" in hold_codes(world)
    assert world.store.pairs[BTC].short.position.qty == 0


def test_a_margin_call_freezes_the_pairs_of_its_account() -> None:
    world = hedged()
    alerts(world)
    world.give(MarginCalled(USDM, "BTCUSDT", world.at_ns))
    assert world.store.pairs[BTC].mode is Mode.PAUSED
    assert alerts(world) == ["margin_call:binance:usdm"]
    world.give(MarginCalled(USDM, "BTCUSDT", world.at_ns))
    assert [one for one in world.commands if isinstance(one, SetMode)][1:] == []


def test_the_fee_of_a_liquidation_is_adl() -> None:
    world = hedged()
    before = world.store.ledger.total.adl
    fact = InsuranceCharged(USDM, "USDT", D("1.5"), "t1", world.at_ns)
    world.wallets[USDM]["USDT"] -= D("1.5")
    world.give(fact, fact, world.report(USDM))
    assert world.store.ledger.total.adl - before == D("-1.5")
    assert views.residual(world.store) == 0


# --- a past that is gone ----------------------------------------------------------------------------------


def test_a_question_names_the_latest_trade_of_each_instrument() -> None:
    world = hedged()
    world.tick(after_s=400.0)
    asked = {one.account: one.after_trades for one in world.commands if isinstance(one, QueryAccount)}
    assert asked[USDM] == {LINEAR: "2"}
    assert asked[SPOT_ACCOUNT] == {SPOT: "1"}


def test_a_trade_missed_between_two_that_were_told_is_asked_for() -> None:
    world = hedged()
    world.give(world.report(USDM))
    short = next(order for order in world.store.orders.values() if order.instrument == LINEAR)
    short.qty += D("0.001")  # room for one more
    world.trade = 3  # was told to nobody
    world.give(*world.execute(short, D("0.001"), short.price))  # type: ignore[arg-type]
    world.tick(after_s=400.0)
    asked = {one.account: one.after_trades for one in world.commands if isinstance(one, QueryAccount)}
    assert asked[USDM] == {LINEAR: "2"}
    world.give(world.report(USDM))
    assert world.store.markets[LINEAR].known_trade_id == "4"


def test_trade_ids_are_compared_as_numbers() -> None:
    world = hedged()
    short = next(order for order in world.store.orders.values() if order.instrument == LINEAR)
    short.qty += D("0.002")  # room for two more
    for number in (10, 9):
        world.trade = number - 1
        world.give(*world.execute(short, D("0.001"), short.price))  # type: ignore[arg-type]
    assert world.store.markets[LINEAR].trade_id == "10"


def test_a_gap_in_the_history_adopts_the_wallet_as_a_transfer() -> None:
    world = hedged()
    before = world.store.ledger.total.transfers
    world.wallets[USDM]["USDT"] -= D(7)
    world.give(HistoryGapped(USDM, 1, 2), world.report(USDM))
    account = world.store.accounts[USDM]
    assert (account.reconciled, account.adopting) == (True, "")
    assert world.store.ledger.total.transfers - before == -7
    assert views.residual(world.store) == 0


def test_a_venue_that_began_anew_is_adopted_and_pauses_everything() -> None:
    world = hedged()
    old = dict(world.store.trades)
    world.wallets[SPOT_ACCOUNT] = {"USDT": D(10_000), "BTC": D(1)}
    world.give(VenueReset(SPOT_ACCOUNT, "trade 1 is not known", world.at_ns))
    assert world.store.mode is Mode.PAUSED
    assert world.store.markets[SPOT].trade_id == ""
    assert world.store.pairs[BTC].long.position.qty == 0
    world.give(world.report(SPOT_ACCOUNT))
    account = world.store.accounts[SPOT_ACCOUNT]
    assert (account.epoch, account.reconciled) == (1, True)
    assert views.residual(world.store) == 0
    assert world.store.ledger.total.transfers != 0
    assert "venue_reset:binance:spot" in alerts(world)
    order = next(order for order in world.store.orders.values() if order.instrument == SPOT)
    assert order.state is OrderState.DONE
    assert dict(world.store.trades) == old


def test_a_fee_in_a_token_without_a_price_is_no_part_of_nav_until_it_has_one() -> None:
    world = World(make_config(capital=10_000), {"binance:spot": {"USDT": D(200_000), "BNB": D(2)}})
    world.boot()
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    long, _ = world.placed()
    facts = world.execute(long, long.qty, long.price)
    fill = facts[0]
    assert isinstance(fill, OrderFilled)
    wallet = world.wallets[SPOT_ACCOUNT]
    wallet["BTC"] += fill.fee
    wallet["BNB"] -= D("0.01")
    world.give(msgspec.structs.replace(fill, fee=D("0.01"), fee_asset="BNB"))
    world.give(world.report(SPOT_ACCOUNT))
    assert world.store.accounts[SPOT_ACCOUNT].reconciled
    assert views.residual(world.store) == 0
    world.give(RateSeen("BNB", "USDT", D(600), world.at_ns))
    assert views.residual(world.store) == 0


@pytest.mark.parametrize("kind", [InsuranceCharged, InterestCharged])
def test_a_charge_in_a_token_without_a_price_stops_nothing(kind: type[InsuranceCharged]) -> None:
    world = hedged()
    world.give(kind(USDM, "BNFCR", D("0.5"), "t1", world.at_ns))
    assert views.residual(world.store) == 0
    assert world.store.ledger.cash[USDM]["BNFCR"] == D("-0.5")
