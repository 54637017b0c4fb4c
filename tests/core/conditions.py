"""How each kind of condition comes about: what a test of alerts sets in the store, by its key."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from bot.core.decide.standing import STANDING
from bot.core.routes import derive
from bot.model.commands import MarginStage
from bot.model.facts import Channel, ForeignOrder
from bot.model.ids import AccountId, PairName
from bot.model.instrument import Position, Side
from bot.model.pair import Mode, PairState
from bot.model.store import Deleveraged, Pair, Store
from tests.core.world import BTC, LINEAR

D = Decimal
USDM = AccountId("binance:usdm")


def legged(store: Store) -> None:
    store.pairs[BTC].state = PairState.LEGGED


def naked_halted(store: Store) -> None:
    pair = store.pairs[BTC]
    pair.mode, pair.naked_ns = Mode.HALTED, 1


def limit(store: Store) -> None:
    pair = store.pairs[BTC]
    pair.mode, pair.mode_reason = Mode.REDUCE_ONLY, "leverage 6 is beyond 5"


def reconcile(store: Store) -> None:
    store.accounts[USDM].differences = ("USDT: venue 1, ledger 2",)


def foreign(store: Store) -> None:
    store.accounts[USDM].foreign = (ForeignOrder("web_1", LINEAR, Side.BUY, D("0.1"), "LIMIT"),)


def channel(store: Store) -> None:
    account = store.accounts[USDM]
    account.lost[Channel.ORDERS], account.lost_ns[Channel.ORDERS] = "closed", 0


def account_settings(store: Store) -> None:
    store.accounts[USDM].hedged = True


def contract_settings(store: Store) -> None:
    store.markets[LINEAR].leverage, store.markets[LINEAR].isolated = 20, True


def status(store: Store) -> None:
    store.markets[LINEAR].status = "BREAK"


def halted(store: Store) -> None:
    store.mode, store.mode_reason = Mode.HALTED, "a second daemon trades here"


def idle(code: str) -> Callable[[Store], None]:
    def set_idle(store: Store) -> None:
        pair = store.pairs[BTC]
        pair.idle, pair.idle_value, pair.idle_limit, pair.idle_ns = code, "501 bps", "500", 1

    return set_idle


def contract_of_open_pair(store: Store) -> None:
    old = msgspec.json.decode(msgspec.json.encode(store.pairs[BTC]), type=Pair)
    old.spec = msgspec.structs.replace(old.spec, name=PairName("OLD"))
    old.in_config = False
    store.pairs[old.spec.name] = old
    derive(store)


def margin_coins(store: Store) -> None:
    pair = store.pairs[BTC]
    pair.short.position, pair.long.position = Position(), Position(D("0.000001"), D("0.06"))
    pair.short.coin_cash = D("0.1")


def fee_coin(store: Store) -> None:
    account = store.accounts[USDM]
    account.fee_coin, account.fee_coin_hours = "BNB", {0: D("0.5")}
    account.balances["BNB"] = D("0.1")


def deleveraging(store: Store) -> None:
    state = Deleveraged(MarginStage.GIVING, 1, "margin_ratio", "1.4", "1.5")
    store.accounts[USDM].deleveraged["USDT"] = state


WARNINGS = ("fee_coin", "contract_of_open_pair", "foreign", "channel", "margin_coins")
KINDS: dict[str, Callable[[Store], None]] = {
    "legged:BTC": legged,
    "naked_halted:BTC": naked_halted,
    "limit:BTC:leverage": limit,
    "contract_of_open_pair:BTC": contract_of_open_pair,
    "margin_coins:BTC": margin_coins,
    "reconcile:binance:usdm": reconcile,
    "foreign:binance:usdm": foreign,
    "channel:binance:usdm orders": channel,
    "deleveraging:binance:usdm": deleveraging,
    "settings:binance:usdm": account_settings,
    f"settings:{LINEAR}": contract_settings,
    f"status:{LINEAR}": status,
    "fee_coin:binance:usdm": fee_coin,
    "halted": halted,
    **{f"{code}:BTC": idle(code) for code in STANDING},
}
