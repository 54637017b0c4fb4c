"""One market of the rehearsal venue as everybody sees it: its books, its tapes, its streams.

A recorded frame goes two ways, to the venue's own books (`adapters.binance.market.MarketStream`, which the
paper venue trades on) and to whoever follows its stream.  A recording has fewer frames than the venue sends:
marks, indexes and partial books are told again once a second (`beat`), a best price at once when a depth
frame moved it, else after an update that left it alone, and where the recording says nothing for seconds, so
that a thin recording is no dead feed; aggregate trades are made of what there is.

What must stay true: the venue's own book has taken a frame before anybody is told of it, so that a snapshot
asked for afterwards is never older than the frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from adapters.binance.codec import CONTRACT_INFO
from adapters.binance.market import MarketStream
from adapters.depth import BookChannel
from adapters.materiality import Materiality
from adapters.rehearsal.broadcast import Broadcast
from adapters.rehearsal.catalog import decimals
from adapters.rehearsal.looped import Shown, shift_times
from adapters.rehearsal.tape import Data, Tape
from bot.model.facts import AnyFact
from bot.model.ids import InstrumentId, symbol_of
from bot.model.instrument import Instrument

_MS = 1_000_000
_QUIET_MS = 2000  # after which a best price is told though nothing was heard
_DEPTHS = (5, 10, 20)  # of partial books
_SEEN = Materiality(clip_quote=1.0, materiality_bps=1e9, heartbeat_s=1e9)
_SPOT_DIGITS = 8
_encode = msgspec.json.encode


def _unheard(fact: AnyFact) -> None:
    """Nobody decides on the venue's own books."""


class Digits:
    """How many digits a market writes behind the point of its prices and sizes."""

    __slots__ = ("_price", "_qty")

    def __init__(self, instrument: Instrument) -> None:
        self._price = _SPOT_DIGITS if instrument.is_spot else decimals(instrument.tick)
        self._qty = _SPOT_DIGITS if instrument.is_spot else decimals(instrument.lot)

    def price(self, price: float | Decimal) -> str:
        return f"{price:.{self._price}f}"

    def qty(self, qty: float | Decimal) -> str:
        return f"{qty:.{self._qty}f}"


class Stage:
    """``tapes``, ``digits`` are by the venue's symbol (``BTCUSDT``), ``channels`` by instrument.

    ``is_flipped``: funding rates have the other sign; ``skew_ms``: the venue's clock is ahead by that in what
    is told to others.
    """

    def __init__(self, market: str, instruments: Iterable[Instrument]) -> None:
        traded = list(instruments)
        self.market = market
        self.decoder = MarketStream(
            market, traded, dict.fromkeys([one.id for one in traded], _SEEN), _unheard
        )
        self.channels: Mapping[InstrumentId, BookChannel] = self.decoder.channels
        self.tapes = {symbol_of(one.id): Tape(one) for one in traded}
        self.digits = {symbol_of(one.id): Digits(one) for one in traded}
        self.broadcast = Broadcast()
        self.is_flipped = False
        self.skew_ms = 0

    # --- what is told -----------------------------------------------------------------------------------

    def show(self, shown: Shown, at_ns: int) -> None:
        """Take a frame that is due at ``at_ns``."""
        tape = self.tapes.get(shown.symbol.upper())
        if tape is not None:
            tape.begun_ms = tape.begun_ms or at_ns // _MS
        match shown.kind:
            case "indexPrice":
                self._hear(shown, at_ns)
                self._tell(f"{shown.symbol}@indexPrice", shown.data)
            case _ if tape is None:
                pass
            case "markPrice":
                tape.mark = shown.data
                self._tell_mark(shown.symbol, tape, at_ns)
            case "snapshot":
                self._hear(shown, at_ns)
            case "depth":
                self._hear(shown, at_ns)
                self._on_depth(shown, tape)
            case "bookTicker":
                self._hear(shown, at_ns)
                tape.touch = self._touch(tape)
                self._tell_touch(tape, shown.data, at_ns // _MS)
            case "trade" | "aggTrade":
                self._hear(shown, at_ns)
                self._on_trade(shown, tape)
            case _:
                pass

    def beat(self, at_ns: int) -> None:
        """A second has passed: marks, best prices and partial books are told again, and statistics."""
        for symbol, tape in self.tapes.items():
            is_quiet = at_ns // _MS - tape.ticker_ms >= _QUIET_MS
            if is_quiet or self.channels[tape.instrument.id].update_id > tape.ticker_id:
                self._tell_best(symbol, tape, at_ns // _MS)
            if tape.depth is not None:
                self._tell_partial(symbol.lower(), {**tape.depth, "E": at_ns // _MS})
            if tape.mark is not None:
                tape.mark = {**tape.mark, "E": at_ns // _MS}
                self._tell_mark(symbol.lower(), tape, at_ns)
        marks = [self.mark(tape) for tape in self.tapes.values() if tape.mark is not None]
        if marks and self.broadcast.is_followed("!markPrice@arr"):
            self._tell("!markPrice@arr", *marks)
        for name, small in (("ticker", False), ("miniTicker", True)):
            frames = {
                symbol: self._statistic(symbol, tape, at_ns // _MS, small)
                for symbol, tape in self.tapes.items()
                if tape.open is not None
            }
            for symbol, frame in frames.items():
                self._tell(f"{symbol.lower()}@{name}", frame)
            if frames and self.broadcast.is_followed(f"!{name}@arr"):
                self._tell(f"!{name}@arr", *frames.values())

    def contract(self, frame: Data) -> None:
        """What is said of a contract has changed."""
        self._tell(CONTRACT_INFO, frame)

    def mark(self, tape: Tape) -> Data:
        """The last mark price frame, its rate as it is told; empty before the first."""
        if tape.mark is None:
            return {}
        rate = tape.mark.get("r")
        if not self.is_flipped or not rate:
            return tape.mark
        return {**tape.mark, "r": rate[1:] if rate.startswith("-") else f"-{rate}"}

    def ladder(self, symbol: str, is_bid: bool, count: int) -> list[list[str]]:
        """The best levels of a side as the venue writes them."""
        digits = self.digits[symbol]
        levels = self.channels[self.tapes[symbol].instrument.id].levels(is_bid, count)
        return [[digits.price(price), digits.qty(qty)] for price, qty in levels]

    def book_id(self, symbol: str) -> int:
        """The update id of a whole book asked for now.

        At the venue ids run on between two diffs.  Futures documentation has the first diff begin at or
        before the snapshot's id, so it is the first one of the diff to come; spot's may end where it begins.
        """
        last = self.channels[self.tapes[symbol].instrument.id].update_id
        return last if self.market == "spot" else last + 1

    # --- inside -----------------------------------------------------------------------------------------

    def _hear(self, shown: Shown, at_ns: int) -> None:
        name = f"{shown.symbol}@{shown.kind}"
        self.decoder.on_frame(at_ns, _encode({"stream": name, "data": shown.data}))

    def _tell(self, stream: str, *frames: Data) -> None:
        """A list of frames is one message of the streams that end in ``@arr``."""
        if not self.broadcast.is_followed(stream):
            return
        moved = [dict(frame) for frame in frames]
        for frame in moved:
            shift_times(frame, self.skew_ms)
        self.broadcast.tell(stream, _encode(moved if stream.endswith("@arr") else moved[0]))

    def _tell_mark(self, symbol: str, tape: Tape, at_ns: int) -> None:
        data = self.mark(tape)
        self._hear(Shown(self.market, symbol, "markPrice", data), at_ns)
        self._tell(f"{symbol}@markPrice", data)
        if self.market == "coinm" and data.get("i"):
            pair = symbol.partition("_")[0]
            index = {"e": "indexPriceUpdate", "E": data["E"], "i": pair.upper(), "p": data["i"]}
            self._tell(f"{pair}@indexPrice", index)

    def _on_depth(self, shown: Shown, tape: Tape) -> None:
        data = shown.data
        if self.market != "spot":
            # a diff holds every id since the one before, so that a snapshot's lies within it (`book_id`)
            data = {**data, "U": data["pu"] + 1}
        tape.book_ms, tape.depth = data["E"], data
        self._tell(f"{shown.symbol}@depth", data)
        self._tell_partial(shown.symbol, data)
        if self._touch(tape) != tape.touch:
            self._tell_best(shown.symbol.upper(), tape, data["E"])

    def _tell_partial(self, symbol: str, data: Data) -> None:
        """The best levels of the book, in the place of those that ``data``, its last diff, changed."""
        for count in _DEPTHS:
            if self.broadcast.is_followed(f"{symbol}@depth{count}"):
                self._tell(f"{symbol}@depth{count}", self._partial(symbol, data, count))

    def _partial(self, symbol: str, data: Data, count: int) -> Data:
        bids, asks = self.ladder(symbol.upper(), True, count), self.ladder(symbol.upper(), False, count)
        if self.market == "spot":
            return {"lastUpdateId": data["u"], "bids": bids, "asks": asks}
        return {**data, "b": bids, "a": asks}

    def _touch(self, tape: Tape) -> tuple[float, float, float, float] | None:
        channel = self.channels[tape.instrument.id]
        if channel.touch() is None:
            return None
        return (*channel.levels(True, 1)[0], *channel.levels(False, 1)[0])

    def _tell_best(self, symbol: str, tape: Tape, at_ms: int) -> None:
        """Tell the book's own best prices, if it is known."""
        touch = tape.touch = self._touch(tape)
        if touch is None:
            return
        digits = self.digits[symbol]
        ticker: Data = {
            "u": self.channels[tape.instrument.id].update_id,
            "s": symbol,
            "b": digits.price(touch[0]),
            "B": digits.qty(touch[1]),
            "a": digits.price(touch[2]),
            "A": digits.qty(touch[3]),
        }
        if self.market != "spot":
            pair = {"ps": symbol.partition("_")[0]} if self.market == "coinm" else {}
            ticker = {"e": "bookTicker", **ticker, **pair, "T": at_ms, "E": at_ms}
        self._tell_touch(tape, ticker, at_ms)

    def _tell_touch(self, tape: Tape, data: Data, at_ms: int) -> None:
        tape.ticker_id, tape.ticker_ms = data["u"], at_ms
        self._tell(f"{data['s'].lower()}@bookTicker", data)
        self._tell("!bookTicker", data)

    def _on_trade(self, shown: Shown, tape: Tape) -> None:
        data = shown.data
        if not float(data["p"]) > 0 or not float(data["q"]) > 0:
            return  # USD-M reports trades of size 0, which moved nothing
        trade = tape.on_trade(data)
        self._tell(f"{shown.symbol}@{shown.kind}", data)
        if shown.kind == "trade":
            shared: Data = {name: data[name] for name in ("E", "s", "p", "q", "T", "m", "M") if name in data}
            aggregate: Data = {"e": "aggTrade", **shared, "a": trade.id, "f": trade.id, "l": trade.id}
            self._tell(f"{shown.symbol}@aggTrade", aggregate)

    def _statistic(self, symbol: str, tape: Tape, now_ms: int, small: bool) -> Data:
        """The fields that ``24hrTicker`` and ``24hrMiniTicker`` have on all three markets."""
        last, digits = tape.last, self.digits[symbol]
        if last is None or tape.open is None or tape.high is None or tape.low is None:
            raise AssertionError(f"{symbol} has no trade and a statistic")
        frame: dict[str, Any] = {
            "e": "24hrMiniTicker" if small else "24hrTicker",
            "E": now_ms,
            "s": symbol,
            "c": digits.price(last.price),
            "o": digits.price(tape.open),
            "h": digits.price(tape.high),
            "l": digits.price(tape.low),
            "v": digits.qty(tape.volume),
            "q": f"{tape.turnover:.8f}",
        }
        if small:
            return frame
        change = last.price - tape.open
        if tape.instrument.is_spot:
            frame["x"] = digits.price(tape.open)
            for names, is_bid in (("bB", True), ("aA", False)):
                frame |= zip(names, next(iter(self.ladder(symbol, is_bid, 1)), ("0", "0")), strict=True)
        return {
            **frame,
            "p": digits.price(change),
            "P": f"{float(change) / float(tape.open) * 100:.3f}",
            "w": digits.price(average(tape)),
            "Q": digits.qty(last.qty),
            "O": tape.begun_ms,
            "C": now_ms,
            "F": tape.trades[0].id,
            "L": last.id,
            "n": tape.count,
        }


def average(tape: Tape) -> float:
    """Average price of the tape's trades, weighted by size; 0 before the first."""
    if not tape.volume:
        return 0.0
    if tape.instrument.inverse:
        return float(tape.volume) * float(tape.instrument.contract_size) / float(tape.turnover)
    return float(tape.turnover) / float(tape.volume)
