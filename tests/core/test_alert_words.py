"""The sentences of what stands and of its end, and the bounds at which a condition begins."""

from __future__ import annotations

import pytest

from bot.core.decide import alerts, conditions, rebalancer
from bot.core.decide.idle import Idle
from bot.core.decide.standing import STANDING
from bot.core.residuals import worth_quote
from bot.model.facts import Channel
from bot.model.ids import AccountId
from bot.model.instrument import Position
from bot.model.money import ZERO
from bot.model.pair import Mode, PairState
from tests.core.way_out import D, delta_of, half_entered, pair_of
from tests.core.world import BTC, INVERSE, LINEAR, SECOND_NS, World, hedged

USDM = AccountId("binance:usdm")
ENDS = {
    "halted": "everything is ACTIVE and no longer halted",
    f"legged:{BTC}": "pair BTC is naked no longer",
    f"limit:{BTC}:leverage": "pair BTC is no longer bound by leverage",
    f"contract_of_open_pair:{BTC}": "the contracts of pair BTC are no other pair's any more",
    f"margin_coins:{BTC}": "pair BTC leaves no coins unhedged that are more than dust",
    f"reconcile:{USDM}": "account binance:usdm is what the ledger expects again",
    f"foreign:{USDM}": "account binance:usdm has no orders of other users any more",
    f"deleveraging:{USDM}": (
        "account binance:usdm gives back margin no longer; nothing is opened on it for an hour"
    ),
    f"channel:{USDM} orders": "binance:usdm orders is open again",
    "channel:other:usdm orders": "no pair needs other:usdm orders any more",
    f"fee_coin:{USDM}": "account binance:usdm needs no more of its fee coin",
    f"status:{LINEAR}": f"{LINEAR} is DELISTING",
    "status:binance:usdm:ETHUSDT": "binance:usdm:ETHUSDT is TRADING",
    f"settings:{LINEAR}": f"{LINEAR} is set right at the venue again",
    f"not_held:{BTC}": "pair BTC is no longer not_held",
}


@pytest.mark.parametrize("key", list(ENDS))
def test_the_end_of_each_kind_is_a_sentence(key: str) -> None:
    world = hedged()
    world.store.markets[LINEAR].status = "DELISTING"
    assert conditions.ended(world.store, key) == ENDS[key].replace("ACTIVE", world.store.mode.value)


def texts(world: World) -> dict[str, str]:
    found = conditions.of_pair(world.store, world.at_ns, pair_of(world))
    return {one.kind: one.text for one in found}


def test_a_naked_pair_is_told_with_its_size_its_worth_and_its_time() -> None:
    world = half_entered(short_filled=True)
    pair = pair_of(world)
    pair.state, pair.naked_ns = PairState.LEGGED, world.at_ns - 4_500_000_000
    spot = world.store.markets[pair.spec.long]
    spot.mark = D(50_000)
    size = abs(delta_of(world))
    assert size > 0, "the premise"
    expected = f"pair BTC is naked by {delta_of(world):f} base, {size * 50_000:.2f} quote for 4.5 s"
    assert texts(world)["legged"] == expected
    spot.mark, pair.naked_ns = None, 0
    assert texts(world)["legged"] == f"pair BTC is naked by {delta_of(world):f} base for 0.0 s"


def test_to_be_naked_and_halted_is_told_once_patience_is_over() -> None:
    world = half_entered(short_filled=True)
    pair = pair_of(world)
    pair.mode = Mode.HALTED
    patience_ns = int(world.config.strategy.patience_s * SECOND_NS)
    pair.naked_ns = world.at_ns - patience_ns
    assert "naked_halted" not in texts(world)
    pair.naked_ns -= 1
    assert "naked_halted" in texts(world)
    pair.mode = Mode.REDUCE_ONLY
    assert "naked_halted" not in texts(world)


def test_what_keeps_a_pair_stands_once_patience_is_over() -> None:
    world = hedged()
    pair, patience_ns = pair_of(world), int(world.config.strategy.patience_s * SECOND_NS)
    pair.idle, pair.idle_value, pair.idle_limit = "beyond_exit_collar", "501 bps", "500"
    pair.idle_ns = world.at_ns - patience_ns
    assert "beyond_exit_collar" not in texts(world)
    pair.idle_ns -= 1
    assert "(501 bps, limit 500)" in texts(world)["beyond_exit_collar"]
    pair.idle_ns, pair.naked_ns = world.at_ns, world.at_ns - patience_ns - 1
    assert "beyond_exit_collar" in texts(world), "who is naked has spent it already"
    pair.idle_ns, pair.naked_ns = world.at_ns - patience_ns - 1, world.at_ns
    assert "beyond_exit_collar" in texts(world), "and who begins to be so keeps what stood"


@pytest.mark.parametrize("attempts", [0, 2])
def test_a_book_in_doubt_is_told_after_the_attempts_that_were_fruitless(attempts: int) -> None:
    world = half_entered(short_filled=True, strategy={"repair_attempts": attempts})
    pair = pair_of(world)
    account = world.store.accounts[USDM]
    account.lost[Channel.MARKET] = "closed"
    pair.idle = ""
    for fruitless in range(4):
        pair.fruitless = fruitless
        assert ("venue_down" in texts(world)) is (fruitless >= max(1, attempts)), fruitless
    pair.naked_ns = 0
    assert "venue_down" not in texts(world), "a hedged pair's orders were priced well"
    pair.naked_ns = world.at_ns
    account.lost.clear()
    assert "venue_down" not in texts(world)


def test_a_naked_pair_is_quiet_only_within_its_patience_and_before_anything_was_tried_in_vain() -> None:
    world = half_entered(short_filled=True)
    pair, patience_ns = pair_of(world), int(world.config.strategy.patience_s * SECOND_NS)
    pair.naked_ns, pair.fruitless, pair.idle = world.at_ns - patience_ns, 0, ""
    assert conditions.is_quiet(world.store, world.at_ns, pair)
    assert not conditions.is_quiet(world.store, world.at_ns + 1, pair)
    pair.fruitless = 1
    assert not conditions.is_quiet(world.store, world.at_ns, pair)


def test_a_leg_that_cannot_trade_is_told_while_the_other_is_tried_in_vain() -> None:
    world = half_entered(short_filled=True)
    pair = pair_of(world)
    pair.idle, pair.fruitless = "trading", world.config.strategy.repair_attempts
    account, market = world.store.accounts[USDM], world.store.markets[LINEAR]
    account.throttled_ns = world.at_ns + 30 * SECOND_NS
    assert "(throttled binance:usdm 30 s)" in texts(world)["venue_down"]
    account.throttled_ns = 0
    market.status = "BREAK"
    assert set(texts(world)) & set(STANDING) == {"not_trading"}
    market.status, account.hedged = "", True
    assert set(texts(world)) & set(STANDING) == {"restricted"}
    account.hedged = False
    assert not set(texts(world)) & set(STANDING)


def test_a_stock_of_a_fee_coin_is_told_below_a_day_of_it() -> None:
    world = hedged()
    account = world.store.accounts[USDM]
    account.fee_coin, account.fee_coin_hours = "BNB", {world.at_ns // (3600 * SECOND_NS): D(24)}
    for balance, is_told in ((D(24), False), (D("23.9"), True), (ZERO, True)):
        account.balances["BNB"] = balance
        kinds = [one.kind for one in conditions.of_account(world.store, world.at_ns, account)]
        assert ("fee_coin" in kinds) is is_told, balance
    account.fee_coin_hours = {}
    assert "fee_coin" not in [one.kind for one in conditions.of_account(world.store, world.at_ns, account)]


def test_an_account_is_served_while_a_pair_on_it_is_named_or_open() -> None:
    world = hedged()
    pair = pair_of(world)
    key = f"channel:{USDM} orders"
    for in_config, state, served in (
        (True, PairState.FLAT, True),
        (False, PairState.HEDGED, True),
        (False, PairState.FLAT, False),
    ):
        pair.in_config, pair.state = in_config, state
        assert conditions.ended(world.store, key).endswith("is open again") is served


def test_how_an_account_is_set_in_words() -> None:
    account = hedged().store.accounts[USDM]
    account.hedged, account.multi_assets = True, False
    assert conditions.account_words(account) == "hedge mode, single-asset"
    account.hedged, account.multi_assets = False, True
    assert conditions.account_words(account) == "one-way, multi-asset"


def test_coins_are_told_as_left_only_where_both_legs_are_gone() -> None:
    world = hedged(INVERSE)
    pair = pair_of(world)
    assert worth_quote(world.store, pair) == ZERO, "a figure, and not none"
    pair.short.position, pair.short.coin_cash = Position(), D("0.01")
    assert worth_quote(world.store, pair) == 600, "the premise: they are a residual"
    assert "margin_coins" not in texts(world), "the coins of the other leg are held"
    pair.long.position = Position()
    assert "600.00 quote; transfer them out" in texts(world)["margin_coins"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (86_400, "24 h")],
)
def test_how_long_an_alert_stood_is_told_in_its_largest_unit_but_one(seconds: int, words: str) -> None:
    assert alerts._span(seconds * SECOND_NS) == words


def test_an_order_without_an_answer_is_told_after_ten_seconds() -> None:
    world = half_entered(short_filled=True)
    (order,) = [one for one in world.store.orders.values() if one.state.is_live]
    pair = pair_of(world)
    for state_ns, reason in (
        (world.at_ns - 10 * SECOND_NS, "in_flight"),
        (world.at_ns - 11 * SECOND_NS, "unanswered"),
    ):
        order.state_ns = state_ns
        found = rebalancer.propose(world.store, world.config, pair, world.at_ns)
        assert isinstance(found, Idle)
        assert found.reason == reason


def test_a_pair_waits_a_second_after_the_fuse_refused() -> None:
    world = hedged()
    pair = pair_of(world)
    for age_ns, waits in ((SECOND_NS - 1, True), (SECOND_NS, False)):
        pair.fuse_ns = world.at_ns - age_ns
        found = rebalancer.propose(world.store, world.config, pair, world.at_ns)
        assert (found == Idle("fuse_room")) is waits
