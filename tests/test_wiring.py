"""What the wiring refuses before a frame is played."""

from __future__ import annotations

import asyncio
import socket
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from adapters.recorded.recorder import DiskLow
from bot.knobs import ConfigError
from bot.model.ids import PairName
from bot.model.pair import PairSpec, PairState
from bot.model.store import OrderState, Store
from bot.ports import Finding, Verdict
from bot.progress import Progress
from bot.wiring.doctor import port_of_api, through_ccxt
from bot.wiring.live import refuse_unfit
from bot.wiring.paper import PaperOptions, demo_files, run_paper
from bot.wiring.record import until_signal
from bot.wiring.venues import LiveOptions, legs_served
from tests.core.world import BTC, INVERSE, LINEAR, SPOT, hedged

SILENT = Progress(lambda begin_ns, end_ns: None, lambda at_ns: None)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("BASISBOT_PAPER_BALANCES", "binance:usdmm:USDT=1", "names the account binance:usdmm; there are"),
        ("BASISBOT_PAPER_BALANCES", "kraken:spot:USDT=1", "names the account kraken:spot; there are"),
        ("BASISBOT_PAPER_FEES_BPS", "spot=10/10,usdmm=2/5", "names the market usdmm; there are spot, usdm"),
    ],
)
def test_money_and_fees_of_a_market_that_does_not_exist_are_refused(
    variable: str, text: str, words: str, tmp_path: Path
) -> None:
    recording, env_file = demo_files()
    options = PaperOptions(
        feeds=(recording,), environ={variable: text}, env_file=env_file, report=tmp_path / "out"
    )
    with pytest.raises(ConfigError, match=f"^{variable} {words}"):
        run_paper(options, SILENT)
    assert not (tmp_path / "out").exists()


def test_what_left_the_settings_while_open_is_still_served() -> None:
    world = hedged()
    other = PairSpec(PairName("ETH"), SPOT, INVERSE, Decimal(10_000))
    config = msgspec.structs.replace(world.config, pairs=(other,))
    assert legs_served(config, world.store) == (SPOT, INVERSE, LINEAR)
    assert legs_served(config, Store()) == (SPOT, INVERSE)
    pair = world.store.pairs[BTC]
    pair.state = PairState.FLAT
    assert legs_served(config, world.store) == (SPOT, INVERSE)
    order = next(iter(world.store.orders.values()))
    order.state = OrderState.UNCERTAIN  # it may fill yet
    world.store.live[order.client_id] = None
    assert legs_served(config, world.store) == (SPOT, INVERSE, LINEAR)


def test_a_recording_that_ends_by_itself_ends_with_its_own_sentence() -> None:
    async def fed() -> None:
        raise DiskLow("1 MB are free")

    async def feed() -> None:
        async with asyncio.TaskGroup() as lines:
            lines.create_task(fed())

    with pytest.raises(DiskLow, match="1 MB"):
        asyncio.run(until_signal([feed()]))


def test_a_venue_that_does_not_answer_is_asked_again_and_one_that_refuses_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = Finding("clock spot", Verdict.FAILED, "no answer", may_pass=True)
    wrong = Finding("leverage usdm", Verdict.FAILED, "1× is below")
    answers = [[silent], [silent, silent], []]
    waited: list[float] = []
    monkeypatch.setattr("bot.wiring.live.examine", lambda options: answers.pop(0))
    monkeypatch.setattr("time.sleep", waited.append)
    refuse_unfit(LiveOptions(environ={}))
    assert answers == []
    assert len(waited) == 2
    answers = [[silent, wrong]]
    with pytest.raises(ConfigError, match="leverage usdm: 1× is below"):
        refuse_unfit(LiveOptions(environ={}))


def test_a_port_is_free_when_nobody_listens_whatever_the_run_before_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        assert port_of_api(port).verdict is Verdict.FAILED
        with socket.create_connection(("127.0.0.1", port)):
            served, _ = listening.accept()
            served.close()  # first, so that the connection's end is left waiting on this port
    assert port_of_api(port).verdict is Verdict.OK


def test_the_doctor_says_what_an_exchange_of_ccxt_can_do() -> None:
    told = {one.check: one for one in through_ccxt(["okx", "kraken", "nowhere"])}
    assert told["capability okx"].verdict is Verdict.OK
    assert "books by stream" in told["capability okx"].text
    assert told["capability kraken"].verdict is Verdict.FAILED
    assert "market data alone" in told["capability kraken"].text
    assert "ccxt knows no exchange 'nowhere'" in told["capability nowhere"].text
    assert [told[f"venue {name}"].verdict for name in ("okx", "kraken")] == [Verdict.WARNED] * 2
