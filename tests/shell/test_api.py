"""The local API over real sockets: who may ask, what is answered, and that an order is durable first."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from bot.model.facts import Channel as Ch
from bot.model.facts import ChannelLost, ChannelOpened, ModeOrdered, ProtocolDrift, ResidualSettled
from bot.model.ids import AccountId
from bot.model.instrument import Position
from bot.model.pair import Mode, PairState
from bot.shell.api import BODY_MAX, ApiRefused, serve
from bot.shell.client import NotDone, give_order, print_status, read_status
from bot.shell.dialogue import MODES, SETTLE, Access, Wish, token_file
from bot.shell.metrics import ALERTS, CONDITIONS, HOLDS, NAMES, PREFIX
from tests.core.world import BTC, LINEAR, D
from tests.shell.live import Run, pause, until

TOKEN = "correct-horse-battery"
WISH = json.dumps({"reason": "lunch", "actor": "ann", "scope": "BTC"})


class Asked:
    def __init__(self, run: Run, session: aiohttp.ClientSession, port: int) -> None:
        self.run = run
        self.access = Access(port, TOKEN)
        self._session = session

    async def __call__(
        self, method: str, path: str, body: str | bytes = "", token: str | None = TOKEN
    ) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        url = f"http://127.0.0.1:{self.access.port}{path}"
        async with self._session.request(method, url, data=body, headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            return response.status, await response.text()


def play(path: Path, scene: Callable[[Asked], Awaitable[None]]) -> None:
    """A hedged run with its API, on real sockets, stopped in the end."""

    async def whole() -> None:
        run = Run(path)
        async with serve(run.daemon, Access(0, TOKEN)) as port, aiohttp.ClientSession() as session:
            running = asyncio.ensure_future(run.daemon.run())
            try:
                await until(lambda: BTC in run.store.pairs)
                await until(lambda: run.store.pairs[BTC].state is PairState.HEDGED)
                await scene(Asked(run, session, port))
            finally:
                run.daemon.stop("test", "over")
                assert (await running).clean

    asyncio.run(whole())


@pytest.mark.parametrize("path", ["/api/v1/state", "/metrics", "/api/v1/unknown", "/favicon.ico"])
def test_nothing_but_health_is_told_without_the_token(tmp_path: Path, path: str) -> None:
    async def scene(ask: Asked) -> None:
        for token in (None, "", "wrong", TOKEN + "x", TOKEN[:-1], "ü"):
            status, text = await ask("GET", path, token=token)
            assert status == 401
            assert TOKEN not in text

    play(tmp_path / "j", scene)


def test_no_order_is_taken_without_the_token(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        for verb in MODES:
            assert (await ask("POST", f"/api/v1/{verb}", WISH, token="wrong"))[0] == 401
        assert not any(isinstance(fact, ModeOrdered) for fact in ask.run.facts)

    play(tmp_path / "j", scene)


@pytest.mark.parametrize(("verb", "mode"), MODES.items())
def test_an_order_is_in_the_journal_when_it_is_answered(tmp_path: Path, verb: str, mode: Mode) -> None:
    async def scene(ask: Asked) -> None:
        status, text = await ask("POST", f"/api/v1/{verb}", WISH)
        answer = json.loads(text)
        assert status == 200
        entry = ask.run.entries[answer["seq"] - 1]
        assert ModeOrdered("BTC", mode, "ann", "lunch") in entry.facts
        assert answer["in_force"] == {"BTC": mode.value}

    play(tmp_path / "j", scene)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("", 400, "not an order"),
        ("{", 400, "not an order"),
        ("[]", 400, "not an order"),
        ('{"reason": "x"}', 400, "actor"),
        ('{"reason": 1, "actor": "ann"}', 400, "reason"),
        ('{"reason": " ", "actor": "ann"}', 400, "a reason and an actor"),
        ('{"reason": "x", "actor": "ann", "scoop": "*"}', 400, "scoop"),
        ('{"reason": "x", "actor": "ann", "scope": "ETH"}', 400, "there are BTC"),
        ('{"reason": "' + "x" * BODY_MAX + '", "actor": "ann"}', 413, ""),
        (b"\xff", 400, "not an order"),
    ],
)
def test_a_body_that_is_no_order_is_refused_with_a_sentence(
    tmp_path: Path, body: str | bytes, status: int, words: str
) -> None:
    async def scene(ask: Asked) -> None:
        found, text = await ask("POST", "/api/v1/pause", body)
        assert found == status
        assert words in json.loads(text)["error"]
        assert not any(isinstance(fact, ModeOrdered) for fact in ask.run.facts)

    play(tmp_path / "j", scene)


def test_a_wrong_method_and_an_unknown_path_are_json_too(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        for method, path, status in (("GET", "/api/v1/pause", 405), ("GET", "/nothing", 404)):
            found, text = await ask(method, path)
            assert found == status
            assert json.loads(text)["error"]

    play(tmp_path / "j", scene)


def test_the_state_shows_the_pair_its_legs_and_the_money(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        await until(lambda: ask.run.store.accounts[AccountId("binance:usdm")].reconciled)
        status, text = await ask("GET", "/api/v1/state")
        state = json.loads(text)
        assert status == 200
        pair = state["pairs"]["BTC"]
        assert pair["state"] == "HEDGED"
        assert pair["legs"]["short"]["instrument"] == LINEAR
        assert pair["legs"]["short"]["qty"].startswith("-")
        assert pair["basis_bps"] == pytest.approx(20.0, abs=0.1)
        assert 0 <= pair["basis_age_s"] < 5
        assert isinstance(state["money"]["nav"], str)
        assert "E" not in state["money"]["nav"]
        assert set(state["accounts"]) == {"binance:spot", "binance:usdm"}
        assert state["seq"] <= ask.run.daemon.engine.journal.last_seq

    play(tmp_path / "j", scene)


def test_readiness_names_what_holds_a_pair(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        store = ask.run.store
        await until(lambda: all(account.reconciled for account in store.accounts.values()))
        status, text = await ask("GET", "/readyz", token=None)
        assert (status, json.loads(text)["ready"]) == (200, True)
        ask.run.gateway.tell(ChannelLost(AccountId("binance:usdm"), Ch.MARKET, "cable"))
        await until(lambda: bool(store.accounts[AccountId("binance:usdm")].lost))
        status, text = await ask("GET", "/readyz", token=None)
        assert status == 503
        assert json.loads(text)["why"]["BTC"] == ["channel_lost binance:usdm market"]
        assert json.loads(text)["channels"]["binance:usdm"] == {"market": "cable"}

    play(tmp_path / "j", scene)


def test_a_halted_run_is_healthy_and_not_ready(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        await ask("POST", "/api/v1/halt", WISH)
        assert (await ask("GET", "/healthz", token=None))[0] == 200
        status, text = await ask("GET", "/readyz", token=None)
        assert status == 503
        assert "halted ann: lunch" in json.loads(text)["why"]["BTC"]

    play(tmp_path / "j", scene)


def test_the_metrics_are_those_of_the_table(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        await until(lambda: ask.run.daemon.vitals.ticked_ns > 0)
        status, text = await ask("GET", "/metrics")
        assert status == 200
        told = {name.removeprefix(PREFIX) for name in re.findall(r"^# TYPE (\S+) \w+$", text, re.MULTILINE)}
        assert told <= set(NAMES)
        assert {"nav_quote", "orders_count", "journal_rows_total", "channel_losses_total"} <= told
        assert 'basisbot_channel_losses_total{account="binance:spot"} 2.0' in text
        assert 'basisbot_mode_rank{pair="BTC"} 0.0' in text

    play(tmp_path / "j", scene)


def test_what_is_watched_for_its_first_time_is_zero_before(tmp_path: Path) -> None:
    """A series that begins with a one shows Prometheus no increase."""

    async def scene(ask: Asked) -> None:
        await until(lambda: ask.run.daemon.vitals.ticked_ns > 0)
        _, text = await ask("GET", "/metrics")
        for key in ALERTS:
            assert f'basisbot_alerts_total{{key="{key}"}} 0.0' in text
        for key in CONDITIONS:
            assert f'basisbot_alerts_standing_count{{key="{key}"}} 0.0' in text
        for code in set(HOLDS) - {"not_reconciled"}:
            assert f'basisbot_holds_count{{code="{code}",pair="BTC"}} 0.0' in text
        for account in ("binance:spot", "binance:usdm"):
            assert f'basisbot_drift_total{{account="{account}"}} 0.0' in text
        assert 'basisbot_conflated_total{type="FundingEstimated"} 0.0' in text
        for stream in ("private", "orders"):
            ask.run.gateway.tell(ProtocolDrift(AccountId("binance:usdm"), stream, "a new word"))
        ask.run.gateway.tell(ChannelLost(AccountId("binance:spot"), Ch.PRIVATE, "denied", is_refused=True))
        await until(lambda: bool(ask.run.daemon.vitals.alerts.get("channel")))
        _, text = await ask("GET", "/metrics")
        assert 'basisbot_drift_total{account="binance:usdm"} 2.0' in text
        assert 'basisbot_alerts_total{key="drift"} 2.0' in text
        assert 'basisbot_alerts_total{key="channel"} 1.0' in text
        assert 'basisbot_holds_count{code="channel_lost",pair="BTC"} 1.0' in text
        assert 'basisbot_alerts_standing_count{key="channel"} 1.0' in text
        assert 'basisbot_alerts_standing_count{key="drift"}' not in text
        ask.run.gateway.tell(ChannelOpened(AccountId("binance:spot"), Ch.PRIVATE))
        await until(lambda: not ask.run.store.alerts)
        _, text = await ask("GET", "/metrics")
        assert 'basisbot_alerts_total{key="channel"} 1.0' in text
        assert 'basisbot_alerts_standing_count{key="channel"} 0.0' in text

    play(tmp_path / "j", scene)


def test_the_api_wants_a_token_and_a_free_port(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        with pytest.raises(ApiRefused, match="BASISBOT_API_TOKEN"):
            async with serve(ask.run.daemon, Access(0, "")):
                pass
        with pytest.raises(ApiRefused, match="BASISBOT_API_PORT"):
            async with serve(ask.run.daemon, ask.access):
                pass

    play(tmp_path / "j", scene)


# --- the client -------------------------------------------------------------------------------------------


def test_a_run_that_cannot_have_the_port_leaves_the_token_of_another_alone(tmp_path: Path) -> None:
    """Two runs in one folder: each has a file of its own, and the one that is refused writes none."""

    async def whole() -> None:
        first, second = Run(tmp_path / "a"), Run(tmp_path / "b")
        kept = token_file(tmp_path / "a")
        with closing(first.daemon.engine.journal), closing(second.daemon.engine.journal):
            async with serve(first.daemon, Access(0, TOKEN, kept)) as port:
                assert (kept.read_text(), kept.stat().st_mode & 0o777) == (TOKEN, 0o600)
                for journal in ("a", "b"):
                    access = Access(port, "another", token_file(tmp_path / journal))
                    with pytest.raises(ApiRefused, match=f"port {port}"):
                        async with serve(second.daemon, access):
                            pass
                assert kept.read_text() == TOKEN
                assert not token_file(tmp_path / "b").exists()

    asyncio.run(whole())


def test_the_client_reads_and_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(ask: Asked) -> None:
        done = await asyncio.to_thread(give_order, ask.access, "pause", Wish("lunch", "ann"))
        assert (done.ordered, done.in_force) == ("pause", {"BTC": "paused"})
        print_status(await asyncio.to_thread(read_status, ask.access))

    play(tmp_path / "j", scene)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert re.search(r"^BTC +HEDGED +paused +20\.0", out, re.MULTILINE)
    assert "BTC is paused: ann: lunch" in out


def test_what_others_said_is_shown_and_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(ask: Asked) -> None:
        await asyncio.to_thread(give_order, ask.access, "pause", Wish("ev\x1b[31mil\nBTC: ready", "ann\r"))
        lost = ChannelLost(AccountId("binance:usdm"), Ch.MARKET, "\x1b]0;title\x07", is_refused=True)
        ask.run.gateway.tell(lost)
        await until(lambda: bool(ask.run.store.alerts))
        state = await asyncio.to_thread(read_status, ask.access)
        assert state.mode_reason == "ann\r: ev\x1b[31mil\nBTC: ready"
        print_status(state)

    play(tmp_path / "j", scene)
    out = capsys.readouterr().out
    assert "BTC is paused: ann\\r: ev\\x1b[31mil\\nBTC: ready\n" in out
    assert "binance:usdm market is down: \\x1b]0;title\\x07\n" in out
    standing = out.replace("\n", " ")
    assert "critical for 0 s, channel:binance:usdm market: binance:usdm market is refused: " in standing
    assert not {"\x1b", "\r", "\x07"} & set(out)


def test_the_client_says_in_a_sentence_why_not(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        with pytest.raises(NotDone, match="BASISBOT_API_TOKEN"):
            await asyncio.to_thread(read_status, Access(ask.access.port, "wrong"))
        with pytest.raises(NotDone, match="there are BTC"):
            await asyncio.to_thread(give_order, ask.access, "halt", Wish("x", "ann", "ETH"))

    play(tmp_path / "j", scene)


def test_a_residual_is_settled_by_name_and_only_where_there_is_one(tmp_path: Path) -> None:
    async def scene(ask: Asked) -> None:
        status, text = await ask("POST", f"/api/v1/{SETTLE}", WISH)
        assert (status, "BTC leaves no coins unhedged" in text) == (400, True)
        everything = Wish("sold by hand", "ann")
        with pytest.raises(NotDone, match="no pair '\\*'; there are BTC"):
            await asyncio.to_thread(give_order, ask.access, SETTLE, everything)
        pair = ask.run.store.pairs[BTC]
        pair.long.position, pair.short.coin_cash = Position(), D("0.05")
        done = await asyncio.to_thread(give_order, ask.access, SETTLE, Wish("sold", "ann", "BTC"))
        fact = ResidualSettled(BTC, "ann", "sold")
        assert done.ordered == SETTLE
        assert fact in ask.run.entries[done.seq - 1].facts, "durable before it is answered"
        assert pair.short.coin_cash == 0

    play(tmp_path / "j", scene)


def test_nobody_there_and_somebody_else_are_sentences_too() -> None:
    async def somebody() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotDone, match="no run of this version"):
            await asyncio.to_thread(read_status, Access(port, TOKEN))
        server.close()
        await server.wait_closed()
        with pytest.raises(NotDone, match="BASISBOT_API_PORT") as caught:
            await asyncio.to_thread(read_status, Access(port, TOKEN))
        assert TOKEN not in str(caught.value)

    asyncio.run(somebody())


def test_no_representation_shows_the_token() -> None:
    assert TOKEN not in repr(Access(1, TOKEN))
    assert pause().actor == "ann"
