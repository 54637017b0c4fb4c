"""User data streams: what the simulated venue tells of the account, in the venue's events.

A change of wallets is told once it is whole: balances and positions that one act changed stand in one event.
Spot events reach WebSocket API sessions, futures events whoever connects with a listen key; all of them hear
the same.  What must stay true: an event says the order as it was at that event, so a partial fill is never
told as the whole, and nothing is told that the account's history does not hold already.

Sources: websocket_api models of binance_sdk_spot 13.3.0 and websocket_streams models of
derivatives_trading_usds_futures 18.1.0 and derivatives_trading_coin_futures 14.1.0 (2026-11-20).  The values
of ``er`` are unverified.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec import Struct, field

from adapters.rehearsal.history import Executed, History, Placed
from adapters.rehearsal.holdings import Holdings, entry_price
from adapters.rehearsal.shapes import Shape, average_price, coins, spot_tif
from adapters.rehearsal.world import World
from bot.model.facts import (
    AnyFact,
    BalanceSeen,
    ForcedFilled,
    FundingPaid,
    InsuranceCharged,
    MarginCalled,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFilled,
    PositionSeen,
    Transferred,
    VenueReset,
)
from bot.model.ids import AccountId, account_of, market_of, symbol_of
from bot.model.instrument import Instrument
from bot.model.money import COIN_QUANTUM, ZERO, exact_arithmetic, text

Hear = Callable[[bytes], None]  # is given one event, not wrapped

TERMINATED, KEY_EXPIRED = "eventStreamTerminated", "listenKeyExpired"

_ALIAS = "SgsR"  # of a COIN-M account, in each of its events
_EXPIRED_IOC, _EXPIRED_REDUCE_ONLY = "2", "4"
_LIQUIDATED = "autoclose-"


class Change(Struct):
    """What one act does to one account, until all of it is told."""

    reason: str
    expected: set[str] = field(default_factory=set)  # assets and instruments that will be told
    balances: dict[str, Decimal] = field(default_factory=dict)
    moved: dict[str, Decimal] = field(default_factory=dict)  # by somebody's hand or by funding
    positions: list[PositionSeen] = field(default_factory=list)


class Streams:
    """Turns each fact into events and hands them to all who follow the market's account."""

    def __init__(self, world: World, history: History, holdings: Holdings) -> None:
        self._world = world
        self._history = history
        self._holdings = holdings
        self._ears: dict[str, list[Hear]] = {"spot": [], "usdm": [], "coinm": []}
        self._changes: dict[AccountId, Change] = {}
        self._events = 0

    def follow(self, market: str, ear: Hear) -> None:
        self._ears[market].append(ear)

    def leave(self, market: str, ear: Hear) -> None:
        """Does nothing for an ear that does not follow."""
        if ear in self._ears[market]:
            self._ears[market].remove(ear)

    def leave_all(self, market: str) -> None:
        """The stream dies without a word: its sockets stay open, and nobody hears any more."""
        self._ears[market].clear()

    def tell(self, market: str, event: Shape) -> None:
        payload = msgspec.json.encode(event)
        for ear in tuple(self._ears[market]):
            ear(payload)

    def tell_settings(self, market: str, changed: Shape) -> None:
        """``ACCOUNT_CONFIG_UPDATE``: ``changed`` holds ``ac`` or ``ai``."""
        now_ms = self._now_ms()
        self.tell(market, {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, **changed})

    def tell_margin_type(self, instrument: Instrument, margin_type: str) -> None:
        """A contract without a position has its own margin now, or shares it."""
        market, now_ms = market_of(instrument.id), self._now_ms()
        event: Shape = {"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms}
        if market == "coinm":
            event["i"] = _ALIAS
        with exact_arithmetic():
            position = self._position(PositionSeen(instrument.id, ZERO, ZERO, self._world.now_ns()))
        position["mt"] = "isolated" if margin_type == "ISOLATED" else "cross"
        self.tell(market, event | {"a": {"B": [], "P": [position], "m": "MARGIN_TYPE_CHANGE"}})

    def on_fact(self, fact: AnyFact) -> None:
        """Hear one fact of the simulated venue; the history hears it first."""
        order = self._history.note(fact)
        with exact_arithmetic():
            match fact:
                case OrderAccepted() | OrderCanceled() | OrderExpired():
                    if order is not None:
                        self.tell_order(order, _EXECUTIONS[type(fact)])
                        self._tell_locked(order)
                case OrderFilled() | ForcedFilled():
                    if order is not None:
                        self._tell_fill(order, order.trades[-1])
                case FundingPaid():
                    self._expect(account_of(fact.instrument), "FUNDING_FEE", fact.asset, fact.amount)
                case Transferred():
                    self._transferred(fact)
                case InsuranceCharged():
                    self._expect(fact.account, "INSURANCE_CLEAR", fact.asset, -fact.amount)
                case BalanceSeen() | PositionSeen():
                    self._changed(fact)
                case MarginCalled():
                    self._margin_call(fact.account)
                case VenueReset():
                    self._changes.pop(fact.account, None)
                case _:
                    pass

    # --- orders -----------------------------------------------------------------------------------------

    def _tell_fill(self, order: Placed, trade: Executed) -> None:
        self.tell_order(order, "TRADE", trade)
        instrument = order.instrument
        told = {instrument.base, instrument.quote} if instrument.is_spot else {
            instrument.margin_asset, instrument.id
        }  # fmt: skip
        self._change(instrument.account, "ORDER").expected |= told

    def tell_order(self, order: Placed, execution: str, trade: Executed | None = None) -> None:
        """Tell what happened to ``order``: NEW, TRADE (``trade``), CANCELED or EXPIRED."""
        self._events += 1
        now_ms = self._now_ms()
        if order.market == "spot":
            self.tell("spot", _execution_report(order, execution, trade, (now_ms, self._events)))
            return
        if trade is not None and order.client_id.startswith(_LIQUIDATED):
            execution = "CALCULATED"
        event: Shape = {"e": "ORDER_TRADE_UPDATE", "E": now_ms, "T": order.updated_ms}
        if order.market == "coinm":
            event["i"] = _ALIAS
        self.tell(order.market, event | {"o": _order_update(order, execution, trade)})

    def _tell_locked(self, order: Placed) -> None:
        """A spot order that rests, or no longer does, changes what is free."""
        instrument = order.instrument
        if instrument.is_spot:
            asset = instrument.quote if order.side.sign > 0 else instrument.base
            self._position_of_assets(instrument.account, (asset,))

    # --- wallets ----------------------------------------------------------------------------------------

    def _change(self, account: AccountId, reason: str) -> Change:
        return self._changes.setdefault(account, Change(reason))

    def _expect(self, account: AccountId, reason: str, asset: str, amount: Decimal) -> None:
        change = self._change(account, reason)
        change.expected.add(asset)
        change.moved[asset] = change.moved.get(asset, ZERO) + amount

    def _transferred(self, fact: Transferred) -> None:
        if fact.account.endswith(":spot"):
            at_ms = self._world.wire_ms(fact.venue_ns)
            event: Shape = {"e": "balanceUpdate", "E": self._now_ms(), "a": fact.asset}
            self.tell("spot", event | {"d": coins(fact.amount), "T": at_ms})
        reason = "DEPOSIT" if fact.amount > 0 else "WITHDRAW"
        self._expect(fact.account, reason, fact.asset, fact.amount)

    def _changed(self, fact: BalanceSeen | PositionSeen) -> None:
        if isinstance(fact, BalanceSeen):
            account, told = fact.account, fact.asset
            change = self._change(account, "ADJUSTMENT")
            change.balances[fact.asset] = fact.balance
        else:
            account, told = account_of(fact.instrument), fact.instrument
            change = self._change(account, "ADJUSTMENT")
            change.positions.append(fact)
        change.expected.discard(told)
        if not change.expected:
            del self._changes[account]
            self._tell_change(account, change, self._world.wire_ms(fact.venue_ns))

    def _tell_change(self, account: AccountId, change: Change, at_ms: int) -> None:
        market = account.rsplit(":", 1)[1]
        if market == "spot":
            self._position_of_assets(account, tuple(change.balances))
            return
        event: Shape = {"e": "ACCOUNT_UPDATE", "E": self._now_ms(), "T": at_ms}
        if market == "coinm":
            event["i"] = _ALIAS
        balances = [
            {
                "a": asset,
                "wb": coins(balance),
                "cw": coins(balance),
                "bc": text(change.moved.get(asset, ZERO)),
            }
            for asset, balance in change.balances.items()
        ]
        positions = [self._position(seen) for seen in change.positions]
        self.tell(market, event | {"a": {"B": balances, "P": positions, "m": change.reason}})

    def _position(self, seen: PositionSeen) -> Shape:
        instrument = self._world.instruments[seen.instrument]
        entry = text(entry_price(instrument, seen.qty, seen.cost))
        return {
            "s": symbol_of(seen.instrument),
            "pa": text(seen.qty),
            "ep": entry,
            "bep": entry,
            "cr": text(self._history.markets[market_of(seen.instrument)].realised.get(seen.instrument, ZERO)),
            "up": coins(self._holdings.unrealised(instrument)),
            "mt": "cross",
            "iw": "0",
            "ps": "BOTH",
        }

    def _position_of_assets(self, account: AccountId, assets: tuple[str, ...]) -> None:
        rows = [
            {"a": asset, "f": coins(free), "l": coins(locked)}
            for asset, free, locked in self._holdings.spot_balances(account)
            if asset in assets
        ]
        now_ms = self._now_ms()
        self.tell("spot", {"e": "outboundAccountPosition", "E": now_ms, "u": now_ms, "B": rows})

    def _margin_call(self, account: AccountId) -> None:
        market = account.rsplit(":", 1)[1]
        event: Shape = {"e": "MARGIN_CALL", "E": self._now_ms()}
        if market == "coinm":
            event["i"] = _ALIAS
        called = [
            {
                "s": symbol_of(held.instrument.id),
                "ps": "BOTH",
                "pa": text(held.qty),
                "mt": "CROSSED",
                "iw": "0",
                "mp": text(held.mark),
                "up": coins(held.unrealised),
                "mm": coins(held.maintenance),
            }
            for held in self._holdings.positions(market)
            if held.qty != 0
        ]
        assets = {held.instrument.margin_asset for held in self._holdings.positions(market) if held.qty != 0}
        wallet = sum((self._world.wallets.balance(account, asset) for asset in assets), ZERO)
        self.tell(market, event | {"cw": coins(wallet), "p": called})

    def _now_ms(self) -> int:
        return self._world.wire_ms(self._world.now_ns())


_EXECUTIONS: dict[type, str] = {OrderAccepted: "NEW", OrderCanceled: "CANCELED", OrderExpired: "EXPIRED"}


def _execution_report(order: Placed, execution: str, trade: Executed | None, stamp: tuple[int, int]) -> Shape:
    """``stamp`` is the event's time in milliseconds and its number."""
    cancelled = execution == "CANCELED"
    return {
        "e": "executionReport",
        "E": stamp[0],
        "s": order.symbol,
        "c": order.cancel_id if cancelled else order.client_id,
        "S": order.side.name,
        "o": order.kind,
        "f": spot_tif(order),
        "q": coins(order.qty),
        "p": coins(ZERO if order.kind == "MARKET" else order.price),
        "P": coins(ZERO),
        "F": coins(ZERO),
        "g": -1,
        "C": order.client_id if cancelled else "",
        "x": execution,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": coins(trade.qty if trade else ZERO),
        "z": coins(order.filled),
        "L": coins(trade.price if trade else ZERO),
        "n": coins(trade.fee) if trade else "0",
        "N": trade.fee_asset if trade else None,
        "T": trade.at_ms if trade else order.updated_ms,
        "t": trade.trade_id if trade else -1,
        "I": stamp[1],
        "w": order.is_open,
        "m": trade.maker if trade else False,
        "M": False,
        "O": order.created_ms,
        "Z": coins(order.cost),
        "Y": coins(trade.qty * trade.price if trade else ZERO),
        "Q": coins(order.spent),
        "W": order.created_ms,
        "V": "EXPIRE_MAKER",
    }


def _order_update(order: Placed, execution: str, trade: Executed | None) -> Shape:
    shape: Shape = {
        "s": order.symbol,
        "c": order.client_id,
        "S": order.side.name,
        "o": order.kind,
        "f": order.tif,
        "q": text(order.qty),
        "p": "0" if order.kind == "MARKET" else text(order.price),
        "ap": text(average_price(order)),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": text(trade.qty if trade else ZERO),
        "z": text(order.filled),
        "L": text(trade.price if trade else ZERO),
        "n": text(trade.fee if trade else ZERO),
        "N": order.instrument.margin_asset,
        "T": trade.at_ms if trade else order.updated_ms,
        "t": trade.trade_id if trade else 0,
        "b": "0",
        "a": "0",
        "m": trade.maker if trade else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.kind,
        "ps": "BOTH",
        "cp": False,
        "rp": text(trade.realised.quantize(COIN_QUANTUM) if trade else ZERO),
        "pP": False,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "er": _expiry(order) if execution == "EXPIRED" else "0",
    }
    if order.market == "coinm":
        shape["ma"] = order.instrument.margin_asset
    else:
        shape |= {"si": 0, "ss": 0, "gtd": 0}
    return shape


def _expiry(order: Placed) -> str:
    return _EXPIRED_REDUCE_ONLY if order.expiry.startswith("reduce-only") else _EXPIRED_IOC
