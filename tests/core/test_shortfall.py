"""What a venue holds less of than the ledger: contracts are taken over, coins bound what is sold."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.core import shortfall, views
from bot.model.commands import PlaceOrder, QueryAccount, RaiseAlert, SetMode
from bot.model.facts import AccountReported, AccountTouched, OrderRejected, PositionHeld, PositionSeen
from bot.model.ids import AccountId, InstrumentId, PairName, account_of
from bot.model.instrument import Position, Side
from bot.model.money import ZERO
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from risk.exposure import tolerance_base
from tests.core.way_out import FLATTEN, D, beat, delta_of, half_entered, is_hedged, pair_of, play, steady
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, World, hedged, make_config


def close_by_hand(world: World, left: Decimal) -> None:
    """Somebody else buys the contract back until ``left`` stands, and the venue pushes the position alone."""
    name = world.config.pairs[0].short
    held = world.positions[name]
    share = left / held.qty if held.qty else ZERO
    world.positions[name] = Position(left, round(held.cost * share, 8))
    world.give(PositionSeen(name, left, world.positions[name].cost, world.at_ns))


def asked(world: World) -> list[AccountId]:
    found = [one.account for one in world.commands if isinstance(one, QueryAccount)]
    world.commands = [one for one in world.commands if not isinstance(one, QueryAccount)]
    return found


@pytest.mark.parametrize("short", [LINEAR, INVERSE])
@pytest.mark.parametrize("share", ["0", "0.4"])
def test_a_contract_closed_by_hand_is_taken_over_at_the_second_equal_report(short: str, share: str) -> None:
    world = hedged(INVERSE if short == INVERSE else LINEAR)
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    world.commands.clear()
    lot = world.instruments[1].lot
    left = (world.positions[world.config.pairs[0].short].qty * D(share) // lot) * lot
    close_by_hand(world, left)
    account = world.instruments[1].account
    assert account in asked(world), "at once"
    begun_ns = world.at_ns
    world.give(world.report(account))
    assert not world.placed(), "the first report may cross an execution that is still to be told"
    while world.at_ns - begun_ns < 15 * 10**9 and not [
        one for one in world.commands if type(one) is PlaceOrder
    ]:
        beat(world, *world.books(60_000.0, 0.0))
        for name in asked(world):
            world.give(world.report(name))
    assert (BTC, Mode.PAUSED) in [(one.scope, one.mode) for one in world.commands if isinstance(one, SetMode)]
    told = [one for one in world.commands if isinstance(one, RaiseAlert) and one.key.startswith("adopted:")]
    assert [one.severity for one in told] == ["critical"]
    orders = world.placed()
    assert [(one.role, one.side) for one in orders] == [(Role.LONG, Side.SELL)]
    world.give(*[fact for order in orders for fact in world.fill(order)])
    assert is_hedged(world)
    assert pair_of(world).short.position.qty == left
    assert pair_of(world).state is (PairState.HEDGED if left else PairState.FLAT)


def test_a_contract_is_taken_over_while_orders_of_another_pair_live_and_the_wallet_follows() -> None:
    eth = [InstrumentId(f"binance:{market}:ETHUSDT") for market in ("spot", "usdm")]
    config = make_config()
    pairs = (*config.pairs, PairSpec(PairName("ETH"), eth[0], eth[1], D(50_000)))
    world = World(msgspec.structs.replace(config, pairs=pairs))
    world.boot()
    world.give(*[world.book(name, 2_500.0, 2_500.0) for name in eth])
    world.quote(60_000.0, 0.0)
    world.quote(60_000.0, 20.0)
    world.fill_all()
    world.give(*[world.book(name, price, price) for name, price in zip(eth, (2_500.0, 2_510.0), strict=True)])
    other = world.placed()
    assert [order.pair for order in other] == ["ETH", "ETH"], "the premise: they live on both accounts"
    account = world.instruments[1].account
    close_by_hand(world, ZERO)
    world.wallets[account]["USDT"] -= 7  # what it cost whoever closed it
    world.give(world.report(account))
    assert pair_of(world).short.position != Position()
    world.give(world.report(account))
    assert pair_of(world).short.position == Position()
    assert [(one.pair, one.side) for one in world.placed()] == [(BTC, Side.SELL)]
    assert pair_of(world).mode is Mode.PAUSED
    cash = world.store.ledger.cash[account]["USDT"]
    assert world.store.accounts[account].differences == (
        f"USDT: venue {(cash - 7).normalize()}, ledger {cash.normalize()}",
    )
    world.give(*[fact for order in other for fact in world.fill(order)])
    world.give(world.report(account))
    assert world.store.accounts[account].reconciled
    assert not world.store.accounts[account].wallet_owed
    assert world.store.pairs[PairName("ETH")].short.position.qty == other[1].qty * -1
    assert views.residual(world.store) == 0


def test_flatten_waits_for_a_contract_that_shrank_and_no_longer_than_an_answer_may_take() -> None:
    world = hedged(strategy={"clip_quote": D(2_000)})
    world.quote(60_000.0, 0.0)
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    world.commands.clear()
    left = world.positions[LINEAR].qty / 2
    close_by_hand(world, left // D("0.001") * D("0.001"))
    world.give(FLATTEN)
    begun_ns = world.at_ns
    while world.at_ns - begun_ns < 14 * 10**9:
        assert not world.placed(), "both legs would go in a ratio that is no more"
        assert pair_of(world).idle == "settling"
        beat(world, *world.books(60_000.0, 0.0))
    while world.at_ns - begun_ns < 18 * 10**9 and not (orders := world.placed()):
        beat(world, *world.books(60_000.0, 0.0))
    assert [order.purpose for order in orders] == [Purpose.EXIT, Purpose.EXIT], "nobody answers"


@pytest.mark.parametrize("turned", ["-0.5", "0.1"])
def test_what_grew_or_turned_is_never_taken_over(turned: str) -> None:
    world = hedged()
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    held = pair_of(world).short.position
    world.commands.clear()
    world.positions[LINEAR] = Position(D(turned), D(turned) * 60_000)
    for _ in range(200):
        beat(world, *world.books(60_000.0, 0.0), after_s=2.0)
        for name in asked(world):
            world.give(world.report(name))
    assert world.store.accounts[world.instruments[1].account].differences
    assert pair_of(world).short.position == held
    assert not world.placed()


@pytest.mark.parametrize("heard", ["before the answer", "with the answer"])
@pytest.mark.parametrize("what", ["a position that shrank", "somebody else's order"])
def test_what_is_heard_while_a_question_is_out_is_asked_about_again(heard: str, what: str) -> None:
    world = hedged()
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    account, held = world.instruments[1].account, world.positions[LINEAR]
    asked(world)
    beat(world, after_s=world.config.strategy.reconcile_s + 1)
    assert account in asked(world), "the premise: a question is out"
    answer = world.report(account)
    shrank, other = PositionSeen(LINEAR, held.qty / 2, held.cost / 2, world.at_ns), account_touched(account)
    fact = shrank if what == "a position that shrank" else other
    if heard == "with the answer":
        world.give(answer, fact)
    else:
        world.give(fact)
        world.give(answer)
    assert account not in asked(world)
    beat(world, after_s=2.0 if fact is shrank else 10.0)
    assert account in asked(world), "the answer may be of the time before"


def account_touched(account: AccountId) -> AccountTouched:
    return AccountTouched(account, "an order of somebody else", 0)


def test_a_report_that_differs_anew_begins_the_count_again() -> None:
    world = hedged()
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    account = world.instruments[1].account
    held = pair_of(world).short.position.qty
    for left in ("-0.1", "-0.09", "-0.08"):
        world.give(
            AccountReported(
                account,
                dict(world.wallets[account]),
                (PositionHeld(LINEAR, D(left), D(left) * 60_000),),
                (),
                world.at_ns,
            )
        )
        assert pair_of(world).short.position.qty == held, left
    world.give(
        AccountReported(
            account,
            dict(world.wallets[account]),
            (PositionHeld(LINEAR, D("-0.08"), D("-4800")),),
            (),
            world.at_ns,
        )
    )
    assert pair_of(world).short.position.qty == D("-0.08")


def test_coins_that_are_not_there_are_not_sold_and_the_contract_stays() -> None:
    """Withdrawn or sold by hand: nobody knows whose they were, so nothing is bought back against them."""
    world = hedged()
    spot = world.instruments[0].account
    world.wallets[spot]["BTC"] = ZERO
    beat(world, *world.books(60_000.0, 0.0), after_s=301.0)
    world.answer_accounts()
    assert world.store.accounts[spot].differences
    world.placed()
    world.give(FLATTEN)
    sent = world.placed() + play(world, 30, steady(world))
    assert not sent
    assert world.positions[LINEAR].qty == pair_of(world).short.position.qty != 0
    assert pair_of(world).idle == "not_held"
    alerts = [one for one in world.commands if isinstance(one, RaiseAlert) and one.key == "not_held:BTC"]
    assert alerts[0].severity == "critical"
    assert world.store.mode is Mode.FLATTENING


def test_of_coins_that_are_partly_there_as_many_are_sold_in_ratio() -> None:
    world = hedged()
    spot = world.instruments[0].account
    gone = D("0.1")
    world.wallets[spot]["BTC"] -= gone
    beat(world, *world.books(60_000.0, 0.0), after_s=301.0)
    world.answer_accounts()
    world.placed()
    world.give(FLATTEN)
    play(world, 30, steady(world))
    assert abs(pair_of(world).long.position.qty - gone) <= D("0.001")
    assert abs(pair_of(world).short.position.qty + gone) <= D("0.001")
    assert abs(delta_of(world)) <= 2 * tolerance_base(world.store, pair_of(world))
    assert world.wallets[spot]["BTC"] <= D("0.001"), "no coin of anybody else was sold"


def test_a_reduction_that_is_refused_asks_what_is_held() -> None:
    world = hedged()
    beat(world, *world.books(60_000.0, 0.0), after_s=5.0)
    world.commands.clear()
    world.give(FLATTEN)
    legs = {order.instrument: order for order in world.placed()}
    world.give(
        *world.fill(legs[SPOT], ZERO), OrderRejected(legs[LINEAR].client_id, "-2022", "no", world.at_ns)
    )
    world.placed()
    world.give(*[OrderRejected(name, "-1", "no", world.at_ns) for name in list(world.store.live)])
    beat(world)
    assert world.instruments[1].account in asked(world)


def test_a_report_that_says_what_is_held_ends_the_pause_of_what_was_refused() -> None:
    world = half_entered(short_filled=False, strategy={"repair_attempts": 0})
    for _ in range(8):
        beat(world, *world.books(60_000.0, 0.0))
        while orders := world.placed():
            world.give(*[OrderRejected(one.client_id, "-2010", "no balance", world.at_ns) for one in orders])
    assert pair_of(world).rounds >= 2, "the premise: a pause of seconds"
    spot, owned = world.instruments[0].account, pair_of(world).long.position.qty
    world.wallets[spot]["BTC"] = owned / 2
    world.give(world.report(spot), after_s=0.3)
    (order,) = world.placed()
    assert (order.role, order.side) == (Role.LONG, Side.SELL)
    assert owned / 2 - D("0.0001") < order.qty <= owned / 2


@pytest.mark.parametrize(
    ("ours", "venue", "lacking"),
    [
        ("0.5", "0.5", "0"), ("0.5", "0.3", "0.2"), ("0.5", "0", "0.5"), ("0.5", "-0.1", "0.5"),
        ("0.5", "0.7", "0"), ("-0.5", "-0.3", "0.2"), ("-0.5", "0", "0.5"), ("-0.5", "0.6", "0.5"),
        ("-0.5", "1", "0.5"), ("-0.5", "-0.7", "0"), ("0", "0.3", "0"), ("0", "-0.3", "0"),
    ],
)  # fmt: skip
def test_what_a_venue_lacks_of_a_position(ours: str, venue: str, lacking: str) -> None:
    world = hedged()
    account_id = account_of(LINEAR)
    world.store.ledger.positions[LINEAR] = Position(D(ours), D(ours) * 60_000)
    held = (PositionHeld(LINEAR, D(venue), D(venue) * 60_000),) if D(venue) else ()
    report = AccountReported(account_id, dict(world.wallets[account_id]), held, (), world.at_ns)
    shortfall.measure(world.store, world.store.accounts[account_id], report, ())
    assert world.store.accounts[account_id].shortfall.get(LINEAR, D(0)) == D(lacking)


@pytest.mark.parametrize(
    ("venue", "age_s", "waits"),
    [("0", 0, True), ("-0.1", 14.9, True), ("-0.1", 15, False), ("0.1", 0, False), ("-0.165", 0, False)],
)
def test_legs_are_not_traded_while_a_contract_that_shrank_is_about_to_be_taken_over(
    venue: str, age_s: float, waits: bool
) -> None:
    world = hedged()
    account = world.store.accounts[account_of(LINEAR)]
    assert world.store.ledger.positions[LINEAR].qty == D("-0.165"), "the premise"
    account.positions[LINEAR] = Position(D(venue), D(venue) * 60_000)
    account.doubted_ns, account.reported_ns = world.at_ns, 0
    found = shortfall.unsettled(world.store, pair_of(world), world.at_ns + int(age_s * 10**9))
    assert found == (LINEAR if waits else None)


def test_a_wallet_follows_only_where_nothing_but_what_is_taken_over_differs() -> None:
    world = hedged()
    account = world.store.accounts[account_of(LINEAR)]

    def whole(*held: tuple[InstrumentId, str], taken: tuple[InstrumentId, ...] = (LINEAR,)) -> bool:
        rows = tuple(PositionHeld(name, D(qty), D(qty) * 60_000) for name, qty in held)
        report = AccountReported(account.id, dict(world.wallets[account.id]), rows, (), world.at_ns)
        return shortfall.is_whole(world.store, account, report, taken)

    other = InstrumentId("binance:usdm:ETHUSDT")
    assert whole((LINEAR, "-0.1"))
    assert not whole((LINEAR, "-0.1"), (other, "1"))
    assert whole((LINEAR, "-0.1"), (other, "1"), taken=(LINEAR, other))
    assert not whole((LINEAR, "-0.165"), taken=()), "nothing is taken over"
    account.wallet_owed = True
    assert whole((LINEAR, "-0.165"), taken=())
    assert not whole((LINEAR, "-0.1"), taken=())
