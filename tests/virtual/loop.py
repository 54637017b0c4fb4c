"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer and waits for nobody.

Daemon, gateway and rehearsal servers run on it as they are, minutes of their time in milliseconds.  It has
no sockets and no threads: what would run in a thread (`asyncio.to_thread`) runs at once, in the loop's own.
What must stay true: the same program takes the same steps at the same times, and a run that would never end
raises instead (`Stalled` when no timer is left to wait for, `Endless` when its steps are used up).
"""

from __future__ import annotations

import asyncio
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

STEPS_MAX = 5_000_000
_START_S = 1000.0  # not zero, which reads as unset


class Stalled(Exception):
    """Everybody waits, and no timer will ever wake them."""


class Endless(Exception):
    """More steps than the run was given."""


class _Leap:
    """Stands where a loop's selector stands: what it is asked to wait for, it skips."""

    def __init__(self, steps_max: int) -> None:
        self.now_s = _START_S
        self.steps = 0
        self.steps_max = steps_max

    def select(self, timeout_s: float | None) -> Sequence[object]:
        self.steps += 1
        if self.steps == self.steps_max:  # once: what is left behind has to be cancelled after it
            raise Endless(f"{self.steps_max} steps were not enough; virtual time is {self.now_s:.3f} s")
        if timeout_s is None:
            raise Stalled(f"nothing is left to wait for at {self.now_s:.3f} s")
        self.now_s += timeout_s
        return ()


class VirtualLoop(BaseEventLoop):
    """``time()`` begins at 1000 s and moves by timers alone."""

    def __init__(self, steps_max: int = STEPS_MAX) -> None:
        super().__init__()
        self._selector = _Leap(steps_max)

    def time(self) -> float:
        return self._selector.now_s

    @property
    def steps(self) -> int:
        """Rounds of the loop so far: what a run cost, whatever the machine."""
        return self._selector.steps

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run it here and now: no thread, no order that a scheduler decides."""
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError) as failure:
            done.set_exception(failure)
        return done

    def _process_events(self, events: Sequence[object]) -> None:
        """No event comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""


def run_virtual(main: Coroutine[Any, Any, T], steps_max: int = STEPS_MAX) -> T:
    """Run ``main`` to its end on a loop of its own, then cancel what it left behind.

    Raises what ``main`` raises, `Stalled` or `Endless`.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(steps_max)) as runner:
        return runner.run(main)
