"""The daemon: the engine's loop in real time.

Gateways bring facts in; the first of them asks the event loop for one turn, and whatever else arrives before
it is part of the same batch.  A turn steps once, waits for the disk where the batch must be on it, and hands
the commands to the gateways before anything else runs.  What must stay true: time comes from the clock and
the event loop alone, so that a virtual loop can drive it; nothing leaves before its row is durable; and
however the process ends, the journal says so or its silence does.

Stopping in order: the core is told (`StopOrdered`), finishes or unwinds what is half done, and when no order
lives and no pair is naked, the last row is `Stopped`.  A second order to stop, or the end of the grace, makes
that row an unclean one; what the core answers to it is sent, and nobody waits for more than a moment.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress

from msgspec import Struct, field

from bot.core.views import at_rest
from bot.model.commands import Outward, PlaceOrder, QueryAccount, RaiseAlert
from bot.model.config import Config
from bot.model.facts import (
    AnyFact,
    Booted,
    Channel,
    ChannelLost,
    ChannelOpened,
    InstrumentListed,
    OperatorFact,
    OrderRejected,
    RateSeen,
    SettingsChanged,
    StopOrdered,
    Stopped,
    Throttled,
    Tick,
)
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.instrument import Instrument
from bot.model.money import exact_arithmetic
from bot.model.store import Store
from bot.ports import LiveGateway
from bot.shell.boot import ClockBehind
from bot.shell.changes import differences
from bot.shell.clock import LiveClock
from bot.shell.dialogue import Access, RunOver
from bot.shell.engine import Engine, culprit, ending, is_bug
from bot.shell.executor import Alert, Executor
from bot.shell.export import as_texts
from bot.shell.inbox import InboxOverfull
from bot.shell.rows import JournalError

SECOND_NS = 1_000_000_000
SNAPSHOT_ROWS = 20_000  # what a restart has to fold beyond its snapshot, a second or two of it
PARTING_S = 1.0  # for last cancels to be answered, and for gateways to close their sockets
STARTING = "starting"
_NOTED = (ChannelLost, ChannelOpened, Throttled)  # what a person who reads the log waits for
NOT_SERVED = "no setting names this account any more"

Note = Callable[[str, Mapping[str, str]], None]


class DaemonParts(Struct, frozen=True, kw_only=True):
    """What a live run is made of.

    ``engine`` stands at its journal's end with the store folded, and ``previous`` says how the run before
    ended (both from `bot.shell.boot.reopen`).  ``gateways`` has one entry for each account; one gateway may
    serve several.  ``alert`` is told alerts, ``note`` events for the log with their fields.  ``reload`` reads
    the settings anew and answers with what changed, with nothing, or with a sentence of refusal; ``keep``
    writes a snapshot of the store behind the journal's last row.
    """

    engine: Engine
    previous: str
    config: Config
    version: str
    run_id: str
    clock: LiveClock
    gateways: Mapping[AccountId, LiveGateway]
    alert: Alert
    note: Note
    reload: Callable[[], SettingsChanged | str | None] | None = None
    keep: Callable[[Store], None] | None = None
    stop_grace_s: float = 30.0


class Outcome(Struct, frozen=True):
    """How a run ended that nothing was wrong with; ``exit_code`` is 0 when it ended in order, else 1."""

    clean: bool
    reason: str

    @property
    def exit_code(self) -> int:
        return 0 if self.clean else 1


class Vitals(Struct):
    """What the loop knows of itself; ``alerts`` counts those that began, by their key's first word."""

    ticked_ns: int = 0
    tick_lag_s: float = 0.0
    stopping: str = ""  # who asked, and why
    alerts: dict[str, int] = field(default_factory=dict)


async def run_daemon(parts: DaemonParts, *, api: Access | None = None, signals: bool = True) -> Outcome:
    """Run until told to stop, by signal or through `Daemon.stop`; see `Daemon.run`.

    ``api``: where to serve the local API.  ``signals``: SIGTERM and SIGINT stop, SIGHUP reloads the
    settings; a virtual loop has none.
    """
    daemon = Daemon(parts)
    async with AsyncExitStack() as served:
        if api is not None:
            from bot.shell.api import serve

            await served.enter_async_context(serve(daemon, api))
        if signals:  # last, so that a stop is never a row before the boot's
            on_signal = asyncio.get_running_loop().add_signal_handler
            on_signal(signal.SIGHUP, daemon.reload)
            for number in (signal.SIGTERM, signal.SIGINT):
                on_signal(number, daemon.stop, "signal", number.name)
        return await daemon.run()


class Daemon:
    """One live run.  Everything here happens on the thread of the event loop it is made in."""

    def __init__(self, parts: DaemonParts) -> None:
        self.parts = parts
        self.engine = parts.engine
        self.clock = parts.clock
        self.vitals = Vitals()
        self.gateways: tuple[LiveGateway, ...] = tuple(dict.fromkeys(parts.gateways.values()))
        known = parts.engine.store.markets.items()
        self._contracts: dict[InstrumentId, Instrument] = {name: one.instrument for name, one in known}
        self._executor = Executor(parts.config.fuse, self._contracts, self._send, self._put, self._alert)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Outcome] = self._loop.create_future()
        self._working: frozenset[InstrumentId] = frozenset()
        self._answers: list[asyncio.Future[int]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._turn_asked = False
        self._kept_seq = parts.engine.journal.last_seq
        self._alarm: asyncio.TimerHandle | None = None
        self._tick_ns = self._alarm_ns = 0
        self._refusal: Exception | None = None

    # --- what the outside may ask ---------------------------------------------------------------------------

    def stop(self, actor: str, reason: str) -> None:
        """End in order; asked again, end at once."""
        if self._ended.done():
            return
        if self.vitals.stopping:
            self._guarded(lambda: self._abort(f"{actor}: {reason}"))
            return
        self.vitals.stopping = f"{actor}: {reason}"
        self._loop.call_later(self.parts.stop_grace_s, self._grace_over)
        self._put(StopOrdered(actor, reason))

    async def order(self, fact: OperatorFact) -> int:
        """The number of an operator's row in the journal, once it is durable.  Raises `RunOver`."""
        if self._ended.done():
            raise RunOver("the run is over")
        answer: asyncio.Future[int] = self._loop.create_future()
        self._answers.append(answer)
        self._put(fact)
        return await answer

    def reload(self) -> None:
        """Read the settings anew; what may change while the run lives does, or nothing at all does."""
        if self.parts.reload is None or self._ended.done():
            return
        found = self.parts.reload()
        if isinstance(found, str):
            self._alert(RaiseAlert("settings_refused", "warning", found), self.clock.now_ns())
        elif found is None:
            self.parts.note("settings are as they were", {})
        else:
            before = self.engine.store.config or self.parts.config
            self.parts.note("settings changed", differences(before, found.config))
            self._put(found)

    async def run(self) -> Outcome:
        """Boot, trade, stop; the journal is closed in any case.

        Raises `ClockBehind`; `BugExit` when the step or a gateway failed;
        `JournalError`; and what a gateway raised with an ``exit_code``, which is its refusal to go on.
        """
        try:
            self._boot()
            self._tasks = [self._loop.create_task(self._attend(one)) for one in self.gateways]
            outcome = await self._ended
            if not outcome.clean:
                await self._part()
        except BaseException:
            await self._leave()
            with suppress(JournalError):  # it would hide what happened first
                self.engine.journal.close()
            raise
        await self._leave()
        self.engine.journal.close()
        if self._refusal is not None:
            raise self._refusal
        return outcome

    # --- the loop -------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        """What every run says first: itself, and that it hears nobody yet.  Durable when this returns."""
        parts, at_ns = self.parts, self.clock.now_ns()
        last_ns = self.engine.store.now_ns
        if at_ns < last_ns:
            raise ClockBehind((last_ns - at_ns) / 1e9, self.engine.journal.path)
        put = self.engine.inbox.put
        put(Booted(parts.run_id, parts.version, parts.config, parts.previous))
        for account in dict.fromkeys((*parts.gateways, *self.engine.store.accounts)):
            reason = STARTING if account in parts.gateways else NOT_SERVED
            for channel in Channel:
                put(ChannelLost(account, channel, reason))
        if (rate := parts.config.usdt_usd_rate) is not None:
            put(RateSeen("USDT", "USD", rate, at_ns))
        self._tick_ns = (at_ns // SECOND_NS + 1) * SECOND_NS
        self._turn_asked = True
        self._turn()

    def _emit(self, fact: AnyFact) -> None:
        """A gateway brings a fact."""
        self._executor.saw(fact)
        if type(fact) is InstrumentListed:
            self._contracts[fact.instrument.id] = fact.instrument
        elif type(fact) in _NOTED:
            self.parts.note(type(fact).__name__, as_texts(fact))
        self._put(fact)

    def _put(self, fact: AnyFact) -> None:
        if self._ended.done():  # the last row is written
            return
        try:
            self.engine.inbox.put(fact)
        except InboxOverfull as failure:
            self._fail(failure)
        if not self._turn_asked:
            self._turn_asked = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_asked = False
        if not self._ended.done():
            self._guarded(self._batch)

    def _guarded(self, act: Callable[[], None]) -> None:
        """Whatever is raised here ends the run: there is no caller who could know better."""
        try:
            act()
        except Exception as failure:  # noqa: BLE001 - the run ends with it
            self._fail(failure)

    def _batch(self) -> None:
        """One turn: what has come due, one step, and its commands on their way."""
        at_ns, engine = self.clock.now_ns(), self.engine
        self._executor.expire(at_ns)
        ticked = at_ns >= self._tick_ns
        if ticked:
            self._tick(at_ns)
        self._step(at_ns)
        if ticked:
            self._put_away()
        if engine.working is not self._working:
            self._working = engine.working
            for gateway in self.gateways:
                gateway.working(self._working)
        if self.vitals.stopping and not engine.inbox and at_rest(engine.store):
            self._end(True, self.vitals.stopping)
            return
        self._arm(at_ns)

    def _step(self, at_ns: int) -> None:
        with exact_arithmetic():
            admitted = self.engine.run_batch(at_ns)
            if admitted:
                self._executor.execute(admitted, at_ns)
        answers, self._answers = self._answers, []
        for answer in answers:
            if not answer.done():  # who asked may have gone
                answer.set_result(self.engine.journal.last_seq)

    def _tick(self, at_ns: int) -> None:
        seen_ns: dict[InstrumentId, int] = {}
        offset_ns: dict[AccountId, int] = {}
        for gateway in self.gateways:
            seen, offsets = gateway.heard()
            seen_ns.update(seen)
            offset_ns.update(offsets)
        if offset_ns:  # one clock for all accounts: it follows the first, and what another has left holds it
            self.clock.steer(next(iter(offset_ns.values())))
        self.vitals.tick_lag_s = (at_ns - self._tick_ns) / 1e9
        self.vitals.ticked_ns = at_ns
        self.engine.inbox.put(Tick(seen_ns, offset_ns))
        self._tick_ns = (at_ns // SECOND_NS + 1) * SECOND_NS

    def _put_away(self) -> None:
        """The rows of a second go to the disk, now and then with a snapshot behind them."""
        journal, keep = self.engine.journal, self.parts.keep
        journal.hand_over()
        if keep is not None and journal.last_seq - self._kept_seq >= SNAPSHOT_ROWS:
            keep(self.engine.store)
            self._kept_seq = journal.last_seq

    def _arm(self, at_ns: int) -> None:
        """See that a turn comes when the next second or the next deadline does."""
        due_ns = min(self._tick_ns, self._executor.next_deadline_ns() or self._tick_ns)
        if self._alarm is not None:
            if self._alarm_ns <= due_ns:
                return
            self._alarm.cancel()
        self._alarm_ns = due_ns
        self._alarm = self._loop.call_later(max(0, due_ns - at_ns) / 1e9, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._turn()

    def _send(self, command: Outward, at_ns: int) -> None:
        account = command.account if isinstance(command, QueryAccount) else account_of(command.instrument)
        gateway = self.parts.gateways.get(account)
        if gateway is not None:
            gateway.submit(command)
        elif isinstance(command, PlaceOrder):
            self._put(OrderRejected(command.client_id, "NOT_SERVED", NOT_SERVED, at_ns))

    def _alert(self, alert: RaiseAlert, at_ns: int) -> None:
        standing, key = self.engine.store.alerts.get(alert.key), alert.key.partition(":")[0]
        if alert.severity != "info" and (standing is None or standing.count == 1):
            self.vitals.alerts[key] = self.vitals.alerts.get(key, 0) + 1
        self.parts.alert(alert, at_ns)

    async def _attend(self, gateway: LiveGateway) -> None:
        """A gateway runs until it is cancelled; that it ends by itself is a bug or its refusal to go on."""
        try:
            await gateway.run(self._emit)
            self._fail(RuntimeError(f"{type(gateway).__name__} ended by itself"))
        except Exception as raised:  # noqa: BLE001 - the run ends with it
            failure = culprit(raised)
            if is_bug(failure):
                self._fail(failure)
            elif self._refusal is None:
                self._refusal = failure
                if not self.vitals.stopping:
                    self.stop("basisbot", str(failure))

    # --- the end --------------------------------------------------------------------------------------------

    def _grace_over(self) -> None:
        if not self._ended.done():
            self._guarded(lambda: self._abort(f"not done within {self.parts.stop_grace_s:g} s"))

    def _abort(self, reason: str) -> None:
        self._end(False, f"{reason}; stopping since {self.vitals.stopping}")

    def _end(self, clean: bool, reason: str) -> None:
        """Write the last row, send what the core answers to it, and let the run end."""
        self.engine.inbox.put(Stopped(clean, reason))
        self._step(self.clock.now_ns())
        self.engine.journal.flush()
        self._ended.set_result(Outcome(clean, reason))

    def _fail(self, failure: Exception) -> None:
        if self._ended.done():
            return
        try:
            failure = ending(self.engine, self.clock.now_ns(), failure)
        finally:  # whatever becomes of the evidence, the run is over
            self._ended.set_exception(failure)

    async def _part(self) -> None:
        """Give the last commands a moment to reach their venues; answers are for the next run to ask for."""
        until_s = self._loop.time() + PARTING_S
        while self._executor.next_deadline_ns() is not None and self._loop.time() < until_s:
            await asyncio.sleep(PARTING_S / 20)

    async def _leave(self) -> None:
        """Cancel everything that was started; gateways close their sockets meanwhile."""
        self._ended.cancel()  # where the end came from elsewhere, nothing more is taken in
        if self._alarm is not None:
            self._alarm.cancel()
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(RunOver("the run ended before it could take the order"))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5 * PARTING_S)
