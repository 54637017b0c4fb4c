"""Paper on what ccxt tells: real sockets, real prices, simulated fills, and no key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from msgspec import Struct

from adapters.ccxt import feed
from adapters.ccxt.public import PublicFeed, PublicOptions, open_public
from adapters.ccxt.reference import Given, told_of
from adapters.errors import FeedError
from adapters.materiality import Materiality
from adapters.network import Unanswered
from adapters.paper.live import PaperLiveGateway, Tap
from adapters.paper.terms import Terms
from adapters.ratelimit import RateBudget
from bot.model.commands import TimeInForce
from bot.model.config import Balance
from bot.model.facts import (
    AnyFact,
    BookSeen,
    Channel,
    ChannelLost,
    ChannelOpened,
    FundingPaid,
    InstrumentListed,
    OrderAccepted,
    OrderFilled,
)
from bot.model.ids import InstrumentId, symbol_of
from bot.model.instrument import Instrument, Side
from bot.ports import Emit
from tests.adapters.contract import ASKS, BIDS, GatewayContract
from tests.e2e.living import ENV_FILE, PATIENCE_S, TOKEN, Daemon, Venue, are, ended
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed, called, reach
from tests.rehearsal.ccxt_scene import Scene
from tests.rehearsal.stock import stock

D = Decimal
order = GatewayContract().order
FUNDS = (
    Balance("binance:spot", "USDT", D(100_000)),
    Balance("binanceusdm:linear", "USDT", D(50_000)),
)


class Opened(Struct):
    instruments: Mapping[InstrumentId, Instrument]
    feeds: Sequence[PublicFeed]


class PaperRehearsed(CcxtRehearsed):
    """The same servers; in place of the gateways, paper on their public side."""

    tiers = {CcxtRehearsed.linear.id: CcxtRehearsed.linear.brackets}  # noqa: RUF012

    def begin(self, *legs: Instrument, read_only: bool = True) -> None:
        name = legs[0].id.split(":")[0]
        self.opened: list[PublicFeed] = []

        async def opened(emit: Emit, tap: Tap) -> Opened:
            public = await self.public(legs, emit, lambda at_ns: tap(at_ns, name, b""))
            self.opened.append(public)
            for leg in public.legs:
                for fact in told_of(leg, None, self.clock.now_ns()):
                    emit(fact)
            return Opened({leg.id: leg.instrument for leg in public.legs}, [public])

        terms = Terms(balances=tuple(one for one in FUNDS if one.account.startswith(f"{name}:")))
        self.paper = PaperLiveGateway(opened, terms, self.clock)
        self._tasks[name] = self.loop.create_task(self.paper.run(self._emit))

    async def public(
        self, legs: Sequence[Instrument], emit: Emit, reached: feed.Reach, given: Given | None = None
    ) -> PublicFeed:
        name = legs[0].id.split(":")[0]
        options = PublicOptions(
            access=reach(name, self.said, {}),
            legs=tuple(leg.id for leg in legs),
            given=Given(tiers=self.tiers) if given is None else given,
            filters=Materiality(1000.0, 0.5, 10.0),
            budget=RateBudget(name),
        )
        return await open_public(options, self.clock, emit, reached)

    def trade(self, instrument: Instrument, price: float, qty: float, buyer_is_maker: bool) -> None:
        """Somebody's trade, by the stream that ccxt watches."""
        self._trades += 1
        at_ms = self.clock.now_ns() // 1_000_000
        data: dict[str, object] = {
            "e": "trade", "E": at_ms, "s": symbol_of(instrument.id), "t": self._trades, "p": repr(price),
            "q": repr(qty), "T": at_ms, "m": buyer_is_maker, "X": "MARKET",
        }  # fmt: skip
        self.act(lambda: self._turn(instrument, "trade", data))


def rehearsed(leg: Instrument) -> Iterator[PaperRehearsed]:
    venue = PaperRehearsed(leg)
    venue.show(leg, BIDS, ASKS)
    yield venue
    venue.close()


@pytest.fixture
def spot() -> Iterator[PaperRehearsed]:
    yield from rehearsed(PaperRehearsed.spot)


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperRehearsed]:
    monkeypatch.setattr(feed, "MARK_EVERY_S", 0.05)
    yield from rehearsed(PaperRehearsed.linear)


def shown(venue: PaperRehearsed, leg: Instrument, touch: tuple[float, float]) -> None:
    """Run until the paper venue's own book has this touch."""
    book = venue.opened[0].stream.channels[leg.id]
    venue.paper.working(frozenset({leg.id}))
    venue.loop.run_until_complete(venue.until(lambda: book.touch() == touch))


@pytest.mark.parametrize("name", ["spot", "linear"])
def test_orders_fill_at_the_exchanges_prices_and_queue_behind_its_levels(
    name: str, request: pytest.FixtureRequest
) -> None:
    venue: PaperRehearsed = request.getfixturevalue(name)
    leg: Instrument = getattr(venue, name)
    listed = [fact.instrument.id for fact in venue.greeting if isinstance(fact, InstrumentListed)]
    assert listed == [leg.id]
    shown(venue, leg, (59_999.0, 60_000.0))
    venue.paper.submit(order(leg, Side.BUY, "0.5", "60000"))
    (fill,) = venue.heard(OrderFilled)
    assert (fill.price, fill.qty, fill.maker) == (D(60_000), D("0.5"), False)
    assert fill.fee == (D("0.0005") if leg.is_spot else D(15))  # ccxt's rates for everybody: 10 and 5 bps
    rest = order(leg, Side.BUY, "0.1", "59999", TimeInForce.GTC)
    venue.paper.submit(rest)
    venue.heard(OrderAccepted)
    # the level displays one, which is ahead of it; a trade of one leaves nobody ahead, the next one fills it
    venue.trade(leg, 59_999.0, 1.0, buyer_is_maker=True)
    venue.trade(leg, 59_999.0, 1.0, buyer_is_maker=True)
    (fill,) = venue.heard(OrderFilled)
    assert (fill.client_id, fill.price, fill.qty, fill.maker) == (rest.client_id, D(59_999), D("0.1"), True)


def test_a_book_that_moves_away_is_filled_at_where_it_went(spot: PaperRehearsed) -> None:
    leg = spot.spot
    shown(spot, leg, (59_999.0, 60_000.0))
    spot.change(leg, [(59_999.0, 0.0), (59_990.0, 1.0)], [(60_000.0, 0.0), (60_001.0, 2.0)])
    shown(spot, leg, (59_998.0, 60_001.0))
    spot.paper.submit(order(leg, Side.BUY, "0.5", "60010"))
    (fill,) = spot.heard(OrderFilled)
    assert fill.price == D(60_001)


def test_funding_is_paid_when_the_exchange_says(linear: PaperRehearsed) -> None:
    leg = linear.linear
    shown(linear, leg, (59_999.0, 60_000.0))
    linear.paper.submit(order(leg, Side.BUY, "0.5", "60000"))
    linear.heard(OrderFilled)
    soon = linear._mark(leg)
    soon["T"] = linear.clock.now_ns() // 1_000_000 + 1_000
    linear.act(partial(linear._turn, leg, "markPrice", soon))
    (paid,) = linear.heard(FundingPaid)
    assert (paid.amount, paid.rate, paid.mark, paid.qty) == (D(-3), D("0.0001"), D(60_000), D("0.5"))


def test_a_lost_socket_is_told_and_its_book_is_unknown_until_it_is_back() -> None:
    leg = PaperRehearsed.spot
    scene = Scene(PaperRehearsed, leg)
    venue = scene.rehearsed
    assert isinstance(venue, PaperRehearsed)
    try:
        shown(venue, leg, (59_999.0, 60_000.0))
        scene.cut("stream")
        (lost,) = venue.heard(ChannelLost)
        assert (lost.account, lost.channel) == (leg.account, Channel.MARKET)
        assert venue.opened[0].stream.channels[leg.id].touch() is None
        (back,) = venue.heard(ChannelOpened)
        assert (back.account, back.channel) == (leg.account, Channel.MARKET)
        shown(venue, leg, (59_999.0, 60_000.0))
    finally:
        venue.close()


def test_what_stands_in_is_said_and_what_is_lacking_refused(linear: PaperRehearsed) -> None:
    leg, facts = linear.linear, list[AnyFact]()
    (running,) = linear.opened
    assert any("leverage tiers" in sentence for sentence in running.assumptions)
    with pytest.raises(FeedError, match=r"leverageTiers.*BASISBOT_PAPER_INSTRUMENTS"):
        linear.loop.run_until_complete(linear.public((leg,), facts.append, lambda _: None, Given()))
    gone = called(leg, "binanceusdm:linear:NONEUSDT")
    with pytest.raises(FeedError, match="no market"):
        linear.loop.run_until_complete(linear.public((gone,), facts.append, lambda _: None))
    assert facts == []


def test_an_exchange_that_does_not_answer_is_to_be_asked_again(linear: PaperRehearsed) -> None:
    said = linear.said
    try:
        linear.said = dict.fromkeys(said, "http://127.0.0.1:9")
        with pytest.raises(Unanswered, match="binanceusdm: ExchangeNotAvailable"):
            linear.loop.run_until_complete(linear.public((linear.linear,), lambda _: None, lambda _: None))
    finally:
        linear.said = said


# --- the program ------------------------------------------------------------------------------------------


class OnServers(Daemon):
    module = "tests.rehearsal.ccxt_daemon"


def tiers_with_a_key(said: Mapping[str, str]) -> str:
    """A file of leverage tiers as somebody with a key prints it, here by stock ccxt."""

    async def printed() -> dict[str, object]:
        found: dict[str, object] = {}
        for name, family, symbol in (
            ("binanceusdm", "linear", "BTC/USDT:USDT"),
            ("binancecoinm", "inverse", "BTC/USD:BTC"),
        ):
            exchange = stock("async_support", name, said)
            try:
                await exchange.load_markets()
                tiers = await exchange.fetch_leverage_tiers([symbol])
                found[f"{name}:{family}:{exchange.market(symbol)['id']}"] = tiers[symbol]
            finally:
                await exchange.close()
        return found

    return json.dumps({"leverageTiers": asyncio.run(printed())})


def test_the_daemon_enters_pairs_of_several_exchanges_on_paper_and_goes_on_after_a_restart(
    tmp_path: Path,
) -> None:
    venue = Venue(tmp_path)
    with ended(venue):
        tiers, servers = tmp_path / "tiers.json", venue.out
        tiers.write_text(tiers_with_a_key(venue.told))
        environ = {
            "BASISBOT_MODE": "paper",
            "BASISBOT_API_TOKEN": TOKEN,
            "BASISBOT_JOURNAL": str(tmp_path / "out/rehearsal/journal.sqlite"),
            "BASISBOT_PAIRS": "BTC=binance:spot:BTCUSDT/binanceusdm:linear:BTCUSDT,"
            "COIN=binance:spot:BTCUSDT/binancecoinm:inverse:BTCUSD_PERP",
            "BASISBOT_PAIR_CAPITAL_QUOTE": "BTC=20000,COIN=20000",
            "BASISBOT_PAPER_BALANCES": "binance:spot:USDT=300000,binanceusdm:linear:USDT=100000,"
            "binancecoinm:inverse:BTC=2",
            "BASISBOT_PAPER_FEES_BPS": "spot=10/10",
            "BASISBOT_PAPER_INSTRUMENTS": str(tiers),
        }
        verb = (str(servers), "run", "--env-file", str(ENV_FILE))
        first = OnServers(tmp_path, environ, *verb)
        with ended(first):
            before = first.until_hedged()
            assert set(before.accounts) == {"binance:spot", "binanceusdm:linear", "binancecoinm:inverse"}
            assert "leverage tiers of binanceusdm:linear:BTCUSDT are a file's" in first.said
            assert first.end() == 0
        again = OnServers(tmp_path, environ, *verb, name="again")
        with ended(again):
            after = again.until_state(lambda state: state.ready and are(state, "HEDGED"), "HEDGED again")
            for name, pair in before.pairs.items():
                assert {role: leg.qty for role, leg in after.pairs[name].legs.items()} == {
                    role: leg.qty for role, leg in pair.legs.items()
                }
            assert again.end() == 0
        told = [fact for entry in again.entries for fact in entry.facts]
        assert {one.instrument.split(":")[0] for one in told if isinstance(one, OrderFilled)} == {
            "binance", "binanceusdm", "binancecoinm",
        }  # fmt: skip
        assert [one for one in told if isinstance(one, BookSeen)]


def test_the_doctor_asks_exchanges_through_ccxt_and_its_exit_code_is_the_answer(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    with ended(venue):

        def asked(name: str, secret: str) -> tuple[int, list[dict[str, str]], str]:
            words = {"apiKey": venue.told["api_key"], "secret": secret}
            environ = {
                "BASISBOT_MODE": "testnet",
                "BASISBOT_PAIRS": "X=binancecoinm:inverse:BTCUSD_PERP/binanceusdm:linear:BTCUSDT",
                "BASISBOT_PAIR_CAPITAL_QUOTE": "X=20000",
                "BASISBOT_CCXT_CREDENTIALS": json.dumps({"binancecoinm": words, "binanceusdm": words}),
            }
            verb = (str(venue.out), "doctor", "--json", "--env-file", str(ENV_FILE))
            doctor = OnServers(tmp_path, environ, *verb, name=name)
            with ended(doctor):
                code = doctor.process.wait(PATIENCE_S)
            return code, json.loads(doctor.out.read_text())["findings"], doctor.said

        code, found, said = asked("right", venue.told["secret"])
        checks = {one["check"]: one["verdict"] for one in found}
        assert (code, set(checks.values())) == (0, {"ok", "skip"}), said
        for account in ("binancecoinm:inverse", "binanceusdm:linear"):
            assert checks[f"key {account}"] == checks[f"position mode {account}"] == "ok"
        assert venue.told["secret"] not in said
        code, found, said = asked("wrong", "0" * 64)
        failed = [one for one in found if one["verdict"] == "fail"]
        assert code == 1
        assert failed
        assert all("BASISBOT_CCXT_CREDENTIALS" in one["text"] for one in failed), said
