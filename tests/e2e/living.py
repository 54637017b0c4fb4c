"""Processes that live until they are told to end: the rehearsal servers, and daemons against them.

What a test waits for is asked for through the local API or the venue's, between two looks at whether the
process still lives, and never for longer than `PATIENCE_S`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from bot.model.entry import Entry
from bot.shell.client import NotDone, read_status
from bot.shell.dialogue import Access, token_file
from bot.shell.rows import read_entries
from bot.shell.state import State
from tests.conftest import ROOT
from tests.e2e.process import Done, basisbot

PATIENCE_S = 40.0
LOOK_S = 0.1
ENV_FILE = ROOT / "examples/rehearsal.env"
TOKEN = "a-token-of-the-tests"
# one clip fills a pair
SMALL = {"BASISBOT_PAIR_CAPITAL_QUOTE": "BTC=20000,BTCUSD=20000"}
MARKETS = ("spot", "usdm", "coinm")

Found = TypeVar("Found")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Living:
    """A process of the program; what it says goes to the files ``out`` and ``err``."""

    module = "bot"  # what runs as the program

    def __init__(self, cwd: Path, name: str, env: Mapping[str, str], *arguments: str | Path) -> None:
        self.out, self.err = cwd / f"{name}.out", cwd / f"{name}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module, *map(str, arguments)],
                cwd=cwd,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()

    def until(self, look: Callable[[], Found | None], what: str) -> Found:
        """The first thing that ``look`` finds."""
        end_s = time.monotonic() + PATIENCE_S
        while (found := look()) is None:
            assert time.monotonic() < end_s, f"{what} has not come; said: {self.said}"
            try:
                code = self.process.wait(LOOK_S)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"{what} has not come, and the process ended by {code}: {self.said}")
        return found

    def until_said(self, words: str) -> None:
        self.until(lambda: words in self.said or None, words)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


class Venue(Living):
    """`rehearse --serve`, and the account on it as any client with the key sees it."""

    def __init__(self, cwd: Path, faults: str = "") -> None:
        super().__init__(cwd, "venue", {}, "rehearse", "--serve", "--faults", faults)
        self.told: dict[str, str] = json.loads(self.until(self._line, "the first line"))

    def _line(self) -> str | None:
        line, end, _ = self.out.read_text().partition("\n")
        return line if end else None

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.told["api_key"], self.told["secret"]

    def environ(self, **changes: str) -> dict[str, str]:
        """What a daemon against these servers is started with."""
        ports = ",".join(str(urlsplit(self.told[f"{market}_rest"]).port) for market in MARKETS)
        return {
            "BASISBOT_MODE": "rehearsal",
            "BASISBOT_REHEARSAL_PORTS": ports,
            "BASISBOT_BINANCE_KEY": self.told["api_key"],
            "BASISBOT_BINANCE_SECRET": self.told["secret"],
            "BASISBOT_API_TOKEN": TOKEN,
            **SMALL,
            **{f"BASISBOT_{name}": text for name, text in changes.items()},
        }

    def ask(self, market: str, path: str, *, method: str = "GET", **params: str) -> Any:
        """The answer to one signed request."""
        query = urlencode({**params, "timestamp": time.time_ns() // 1_000_000})
        signature = hmac.new(self.told["secret"].encode(), query.encode(), hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection(urlsplit(self.told[f"{market}_rest"]).netloc, timeout=10)
        headers = {"X-MBX-APIKEY": self.told["api_key"]}
        connection.request(method, f"{path}?{query}&signature={signature}", headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, body
        return json.loads(body)

    def client_ids(self) -> list[str]:
        """Of every order that ever reached the venue."""
        asked = (
            ("spot", "/api/v3/allOrders", "BTCUSDT"),
            ("usdm", "/fapi/v1/allOrders", "BTCUSDT"),
            ("coinm", "/dapi/v1/allOrders", "BTCUSD_PERP"),
        )
        return [
            order["clientOrderId"]
            for market, path, symbol in asked
            for order in self.ask(market, path, symbol=symbol)
        ]

    def position(self, market: str) -> str:
        """Of the one contract of a market that these tests trade."""
        path = {"usdm": "/fapi/v3/positionRisk", "coinm": "/dapi/v1/positionRisk"}[market]
        held: dict[str, str] = {one["symbol"]: one["positionAmt"] for one in self.ask(market, path)}
        return held.get("BTCUSDT" if market == "usdm" else "BTCUSD_PERP", "0")


class Daemon(Living):
    """`basisbot run`, or any other verb that runs the daemon."""

    def __init__(
        self,
        cwd: Path,
        env: Mapping[str, str],
        *verb: str | Path,
        name: str = "daemon",
        env_file: Path = ENV_FILE,
    ) -> None:
        self.cwd = cwd
        self.port = free_port()
        self.journal = cwd / "out/rehearsal/journal.sqlite"
        self.environ = {**env, "BASISBOT_API_PORT": str(self.port)}
        super().__init__(cwd, name, self.environ, *(verb or ("run", "--env-file", env_file)))

    def state(self) -> State | None:
        """What the API tells, or nothing while there is none."""
        try:
            token = self.environ.get("BASISBOT_API_TOKEN") or token_file(self.journal).read_text()
            return read_status(Access(self.port, token.strip()))
        except (NotDone, OSError):
            return None

    def until_state(self, fits: Callable[[State], bool], what: str) -> State:
        def look() -> State | None:
            state = self.state()
            return state if state is not None and fits(state) else None

        return self.until(look, what)

    def until_hedged(self) -> State:
        """Both pairs hold what they may, and nothing holds them."""
        return self.until_state(lambda state: state.ready and are(state, "HEDGED"), "both pairs HEDGED")

    def tell(self, *words: str, **changes: str) -> Done:
        """Run an operator's verb beside it."""
        env = {**self.environ, **{f"BASISBOT_{name}": text for name, text in changes.items()}}
        return basisbot(*words, cwd=self.cwd, env=env)

    @property
    def entries(self) -> list[Entry]:
        return list(read_entries(self.journal))

    def get(self, path: str, token: str = TOKEN) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body


def are(state: State, word: str) -> bool:
    """Whether there are pairs, each in that state."""
    return bool(state.pairs) and all(pair.state == word for pair in state.pairs.values())


@contextmanager
def ended(*living: Living) -> Iterator[None]:
    """Whatever a test leaves is killed."""
    try:
        yield
    finally:
        for one in living:
            if one.process.poll() is None:
                one.end(signal.SIGKILL)
