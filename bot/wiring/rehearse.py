"""Wiring of the rehearsal: servers that speak the venue's protocol, and the real daemon against them.

The servers are a process of their own, as the venue is: what the daemon knows of them it was told over
sockets. What must stay true: the two share this machine's loopback and nothing else, and the servers do not
outlive the daemon for long; a daemon whose servers died says what it says of any venue that is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from bot.knobs import PREFIX, ConfigError
from bot.settings import JOURNAL_NAME
from bot.shell.daemon import Outcome
from bot.shell.lock import FileLock, LockTaken
from bot.shell.logs import configure, note
from bot.wiring.live import run_live
from bot.wiring.venues import LiveOptions, examples_folder, in_loop

if TYPE_CHECKING:
    from adapters.rehearsal.faults import Script

_START_S = 30.0
_STOP_S = 5.0
MARKETS = ("spot", "usdm", "coinm")


class RehearsalOptions(Struct, frozen=True, kw_only=True):
    """``feeds`` and ``env_file`` default to those that come with the program; ``faults`` is their script."""

    environ: dict[str, str]
    out: Path
    env_file: Path | None = None
    feeds: tuple[Path, ...] = ()
    faults: str = ""

    @property
    def journal(self) -> Path:
        return self.out / JOURNAL_NAME

    @property
    def previous(self) -> Path:
        """Where the journal of the rehearsal before is kept."""
        return self.out / f"previous-{JOURNAL_NAME}"


def faults_there_are() -> str:
    """Every switch that a script may throw, a line each."""
    from adapters.rehearsal.faults import described

    return described()


def serve_servers(options: RehearsalOptions, port: int, *, with_parent: bool) -> None:
    """Serve until SIGINT or SIGTERM, or, ``with_parent``, until standard input ends.

    Raises `FaultError` for a script of faults that cannot be read, `FeedError`, and ``OSError`` for a port
    that is taken.
    """
    from adapters.rehearsal.serve import Playbill, serve_forever

    configure()
    script = _script(options)
    recordings, instruments = _rehearsed(options)
    playbill = Playbill(recordings=recordings, instruments=instruments, script=script, port=port)

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        if with_parent:
            loop.add_reader(sys.stdin.fileno(), lambda: os.read(sys.stdin.fileno(), 1) or task.cancel())
        try:
            await serve_forever(playbill, _print_line, lambda text: note("fault", {"text": text}))
        except asyncio.CancelledError:
            note("servers stopped", {})

    in_loop(serve())


def rehearse_once(options: RehearsalOptions) -> Outcome:
    """Start the servers, run the daemon against them until it is told to stop, and end the servers.

    Each rehearsal has an account of its own, and so a journal of its own: an earlier one is laid aside.
    Raises what `bot.wiring.live.run_live` does, `FaultError` for a script that cannot be read, and
    `ConfigError` where the servers do not start.
    """
    _script(options)
    options.out.mkdir(parents=True, exist_ok=True)
    journal = options.journal
    try:
        FileLock(journal).release()
    except LockTaken:
        raise ConfigError(
            f"another rehearsal writes to {options.out}: stop it, or give another --out"
        ) from None
    configure()
    lay_aside(journal, options.previous)
    with _servers(options) as roots:
        ports = ",".join(str(urlsplit(roots[f"{market}_rest"]).port) for market in MARKETS)
        ours = {f"{PREFIX}{name}" for name in ("BINANCE_KEY_FILE", "BINANCE_SECRET_FILE", "JOURNAL")}
        environ = {name: text for name, text in options.environ.items() if name not in ours}
        environ |= {
            f"{PREFIX}MODE": "rehearsal",
            f"{PREFIX}REHEARSAL_PORTS": ports,
            f"{PREFIX}BINANCE_KEY": roots["api_key"],
            f"{PREFIX}BINANCE_SECRET": roots["secret"],
        }
        env_file = options.env_file or examples_folder("rehearsal.env") / "rehearsal.env"
        return run_live(LiveOptions(environ=environ, env_file=env_file, journal=journal))


def lay_aside(journal: Path, previous: Path) -> None:
    """An earlier rehearsal's journal takes another name, in place of what had that name."""
    if not journal.exists():
        return
    for suffix in ("", "-wal", "-shm", ".poison.json"):
        earlier, kept = (path.with_name(path.name + suffix) for path in (journal, previous))
        kept.unlink(missing_ok=True)
        if earlier.exists():
            earlier.replace(kept)
    note("journal of the rehearsal before kept", {"file": str(previous)})


def _script(options: RehearsalOptions) -> Script:
    from adapters.rehearsal.faults import FaultError, parse

    try:
        return parse(options.faults)
    except FaultError as error:
        raise FaultError(f"--faults: {error}") from None


@contextmanager
def _servers(options: RehearsalOptions) -> Iterator[dict[str, str]]:
    """The servers' process, and the first line it printed."""
    words = [sys.executable, "-m", "bot", "rehearse", "--serve", "--with-parent", "--faults", options.faults]
    for feed in options.feeds:
        words += ["--feed", str(feed)]
    # not in the daemon's process group: a terminal's Ctrl-C is for the daemon, which still needs its venue
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=_plain(options.environ),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            code = process.wait(_START_S)
            raise ConfigError(f"the rehearsal servers did not start (exit {code}); what they said is above")
        yield msgspec.json.decode(line, type=dict[str, str])
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _plain(environ: dict[str, str]) -> dict[str, str]:
    """The environment without settings: the servers need none, and no secret of the daemon's."""
    return {name: text for name, text in environ.items() if not name.startswith(PREFIX)}


def _print_line(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.flush()


def _rehearsed(options: RehearsalOptions) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    examples = examples_folder("rehearsal.env")
    venue = sorted((examples / "venue").glob("*.json"))
    return options.feeds or (examples / "demo",), tuple(venue)
