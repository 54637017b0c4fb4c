"""Replay: the same engine, driven by a recording in virtual time.

Nothing here waits and nothing reads the wall clock: the time is the recording's.  A batch at ``at_ns`` keeps
the engine busy for the modelled duration of a step; what arrives meanwhile waits in the inbox and conflates,
as it would live; commands leave at ``at_ns``.  Ticks come at each whole second.  The same inputs therefore
give the same rows on any machine, however slow, and a resumed run is this loop over a journal that compares.

A simulated crash drops what a process would lose: the store, the inbox, the deadlines and the rows not yet on
their way to the disk.  The venue lives on, and the way back is the live one: fold the journal, say `Booted`.
"""

from __future__ import annotations

import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import msgspec
from msgspec import Struct

from bot.model.config import Config
from bot.model.facts import AnyFact, Booted, InstrumentListed, Origin, RateSeen, Tick
from bot.model.ids import AccountId, InstrumentId, base36
from bot.model.instrument import Instrument
from bot.model.money import exact_arithmetic
from bot.model.store import state_sha256
from bot.ports import Timeline
from bot.shell.engine import Engine
from bot.shell.executor import Executor

SECOND_NS = 1_000_000_000
_FOREVER_NS = (1 << 63) - 1
_RUN_ID_LENGTH = 8

Heard = Callable[[], tuple[dict[InstrumentId, int], dict[AccountId, int]]]


class World(Timeline, Protocol):
    """A recording and a venue that outlive a crash of the bot."""

    def lose_memory(self) -> None:
        """Drop what is on its way to the bot; its connections are made anew."""
        ...


class ReplayOptions(Struct, frozen=True, kw_only=True):
    """What a run is made of.  ``from_ns`` and ``until_ns`` are 0 where the range is open."""

    version: str
    config: Config
    instruments: tuple[Instrument, ...]
    origins: tuple[Origin, ...]
    from_ns: int = 0
    until_ns: int = 0
    crash_at_ns: tuple[int, ...] = ()


class Hooks(Struct, frozen=True, kw_only=True):
    """What the loop asks while it runs.

    ``heard`` gives fresh mappings: receive time of each instrument's last frame, and each account's clock
    offset left after correction, nanoseconds.  ``progress`` is told the virtual time once a virtual second.
    """

    heard: Heard
    progress: Callable[[int], None]
    stopping: Callable[[], bool]


class RunResult(Struct, frozen=True, kw_only=True):
    """What a run came to.  Seconds are of this machine; everything else is the same wherever it runs."""

    batches: int
    rows: int
    facts_by_type: dict[str, int]
    commands_by_type: dict[str, int]
    conflated: dict[str, int]
    crashes: int
    stopped: bool
    wall_s: float
    cpu_s: float
    journal_sha256: str
    state_sha256: str
    end_ns: int


def run_id(options: ReplayOptions, boot: int = 0) -> str:
    """Eight characters of base 36, from the inputs' hashes, the settings, the range and the boot's number.

    Names and order of the inputs do not matter.  Each boot of a run has its own, so that no order of one boot
    can have the name of another's.
    """
    inputs = sorted((origin.sha256, origin.offset_ns) for origin in options.origins)
    content = (inputs, options.config, options.from_ns, options.until_ns, boot)
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).digest()
    return base36(int.from_bytes(digest, "big"))[-_RUN_ID_LENGTH:]


def inputs_text(options: ReplayOptions) -> str:
    """What shapes the rows beyond what `Booted` carries, for the journal to hold against a resume."""
    return "crashes at " + ", ".join(map(str, options.crash_at_ns)) if options.crash_at_ns else ""


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Within the block SIGINT and SIGTERM ask the run to stop; yields the question whether one did."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def replay(
    world: World, engine: Engine, executor: Executor, options: ReplayOptions, hooks: Hooks
) -> RunResult:
    """Play the world to its end, close the journal, and say what came of it.

    Raises `BugExit`, `Divergence`, `JournalError` and whatever the world refuses to go on from.
    """
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    run = _Run(world, engine, executor, options, hooks)
    with exact_arithmetic():
        run.play()
    if run.stopped and run.crashes_left:
        # a crash still to come drops these rows, and the resumed run must be free to do so
        engine.journal.drop_unwritten()
    else:
        engine.journal.flush()
    if not run.stopped:
        engine.journal.expect_end()
    engine.journal.close()
    return RunResult(
        batches=engine.batches,
        rows=engine.journal.last_seq,
        facts_by_type={kind.__name__: count for kind, count in engine.facts_by_type.items()},
        commands_by_type={kind.__name__: count for kind, count in engine.commands_by_type.items()},
        conflated=dict(engine.inbox.conflated),
        crashes=run.boots - 1,
        stopped=run.stopped,
        wall_s=time.perf_counter() - wall_s,
        cpu_s=time.process_time() - cpu_s,
        journal_sha256=engine.journal.sha256,
        state_sha256=state_sha256(engine.store),
        end_ns=run.end_ns,
    )


class _Run:
    """The loop's own numbers: where time stands, until when the engine is busy, what comes next."""

    def __init__(
        self, world: World, engine: Engine, executor: Executor, options: ReplayOptions, hooks: Hooks
    ) -> None:
        self._world = world
        self._engine = engine
        self._executor = executor
        self._options = options
        self._hooks = hooks
        self._step_ns = round(options.config.paper_step_us * 1000)
        self._crashes: list[int] = []
        self._tick_ns = _FOREVER_NS
        self._free_ns = 0
        self._working: frozenset[InstrumentId] = frozenset()
        self.now_ns = 0
        self.end_ns = 0  # time of the last batch
        self.boots = 0
        self.stopped = False

    @property
    def crashes_left(self) -> bool:
        return bool(self._crashes)

    def play(self) -> None:
        first: list[AnyFact] = []
        start_ns = self._world.advance(_FOREVER_NS, first.append, stop=True)
        if start_ns is None:
            return
        self.now_ns = self._free_ns = start_ns
        self._boot("none")
        for fact in first:
            self._emit(fact)
        self._tick_ns = (start_ns // SECOND_NS + 1) * SECOND_NS
        self._crashes = sorted({at_ns for at_ns in self._options.crash_at_ns if at_ns > start_ns})
        self._batch()
        while self._wait():
            if self._hooks.stopping():
                self.stopped = True
                return
            self._batch()

    def _wait(self) -> bool:
        """Let time pass until the engine has something to do and is free; false at the end of everything."""
        while self.now_ns < self._free_ns:
            if not self._pass(self._free_ns, stop=False):
                self.now_ns = self._free_ns
        while not self._engine.inbox:
            if not self._pass(_FOREVER_NS, stop=True) and not self._engine.inbox:
                due_ns = self._executor.next_deadline_ns()
                if due_ns is None:
                    return False
                self.now_ns = max(self.now_ns, due_ns)
                self._executor.expire(self.now_ns)
        return True

    def _pass(self, limit_ns: int, *, stop: bool) -> bool:
        """Let time pass to ``limit_ns``, the next event of our own, or (``stop``) the next fact.

        False when the world has nothing left to play.
        """
        due_ns = self._executor.next_deadline_ns()
        limit_ns = min(limit_ns, self._tick_ns)
        if due_ns is not None and due_ns < limit_ns:
            limit_ns = max(due_ns, self.now_ns)
        if self._crashes and self._crashes[0] < limit_ns:
            limit_ns = self._crashes[0]
        reached_ns = self._world.advance(limit_ns, self._emit, stop)
        if reached_ns is None:
            return False
        self.now_ns = reached_ns
        if self._crashes and reached_ns >= self._crashes[0]:
            self._crash()
            return True
        if due_ns is not None and reached_ns >= due_ns:
            self._executor.expire(reached_ns)
        if reached_ns >= self._tick_ns:
            self._engine.inbox.put(Tick(*self._hooks.heard()))
            self._hooks.progress(reached_ns)
            self._tick_ns += SECOND_NS
        return True

    def _batch(self) -> None:
        engine = self._engine
        self.end_ns = self.now_ns
        admitted = engine.run_batch(self.now_ns)
        self._free_ns = self.now_ns + self._step_ns
        if admitted:
            self._executor.execute(admitted, self.now_ns)
        if engine.working is not self._working:
            self._working = engine.working
            self._world.working(self._working)

    def _crash(self) -> None:
        del self._crashes[0]
        self._executor.lose_memory()
        self._engine.lose_memory()
        self._world.lose_memory()
        self._boot("crash")
        self._free_ns = self.now_ns

    def _boot(self, previous: str) -> None:
        """What every run says first: itself, its instruments, and the rates it was given."""
        options, put = self._options, self._engine.inbox.put
        put(
            Booted(
                run_id=run_id(options, self.boots),
                version=options.version,
                config=options.config,
                previous=previous,
                origins=tuple(sorted(options.origins, key=lambda one: (one.name, one.sha256))),
                from_ns=options.from_ns,
                until_ns=options.until_ns,
            )
        )
        for instrument in options.instruments:
            put(InstrumentListed(instrument))
        rate = options.config.usdt_usd_rate
        if rate is not None:
            put(RateSeen("USDT", "USD", rate, self.now_ns))
        self.boots += 1

    def _emit(self, fact: AnyFact) -> None:
        self._executor.saw(fact)
        self._engine.inbox.put(fact)
