"""Runs the pure tests against one mutant after the other, each in a process of its own.

The tests are collected once.  A child then puts the mutant's code in the place of the function's, and runs
the tests that reach the changed lines, the quickest first, until one fails.  What must stay true: the process
that forks runs no test itself, so that nothing it has kept can hide a mutant.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterable
from functools import reduce
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import pytest
from msgspec import Struct

from tests.conftest import ROOT
from tests.mutants.operators import MODULES, Mutant, code_of
from tests.simulation.explorer.run import play

TESTS = ("tests/risk", "tests/core")
WORKERS = 2
TESTS_S = 6.0  # of tests that a mutant meets, by the time that they take without it, measured
SEEDS = 16  # of the explorer, for what the tests let live
SLOWER = 10  # times as long as without it, and a mutant runs for ever
GRACE_S = 20.0
ALIVE, KILLED = 0, 1


class Reach(Struct):
    """Which tests pass through a line, and how long each test takes."""

    lines: dict[str, dict[int, list[str]]]
    took_s: dict[str, float]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that reach a mutant, the quickest first."""
        lines = self.lines.get(mutant.file, {})
        found = {name: None for line in range(mutant.first, mutant.last + 1) for name in lines.get(line, ())}
        chosen: list[str] = []
        left_s = TESTS_S
        for name in sorted(found, key=lambda name: (self.took_s[name], name)):
            left_s -= self.took_s[name]
            if left_s < 0.0 and chosen:
                break
            chosen.append(name)
        return chosen


class Forked:
    """A plugin of pytest in the place of its loop; ``alive`` and ``late`` are what it finds."""

    def __init__(self, mutants: Iterable[Mutant], told: Callable[[str], None]) -> None:
        self.mutants, self.told = list(mutants), told
        self.alive: list[Mutant] = []
        self.late: list[Mutant] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reach = _measured(session)
        items = {item.nodeid: item for item in session.items}
        working: dict[int, Mutant] = {}
        for mutant in self.mutants:
            if len(working) >= WORKERS:
                self._wait(working)
            names = reach.tests(mutant)
            limit_s = GRACE_S + SLOWER * sum(reach.took_s[name] for name in names)
            working[_forked(session, mutant, [items[name] for name in names], limit_s)] = mutant
        while working:
            self._wait(working)
        return True

    def _wait(self, working: dict[int, Mutant]) -> None:
        pid, status = os.wait()
        mutant = working.pop(pid)
        if os.WIFSIGNALED(status):
            self.late.append(mutant)
        elif os.WEXITSTATUS(status) == ALIVE:
            self.alive.append(mutant)
            self.told(f"alive: {mutant.name}")


def _forked(session: pytest.Session, mutant: Mutant, items: list[pytest.Item], limit_s: float) -> int:
    """Start the child of a mutant; its process id."""
    pid = os.fork()
    if pid:
        return pid
    _silence()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(limit_s))
    try:
        _function(mutant).__code__ = code_of(mutant)
        killed = not all(_passes(session, item) for item in items)
        killed = killed or any(play(seed).failures for seed in range(SEEDS))
    except BaseException:  # noqa: BLE001 whatever a mutant raises has ended it
        killed = True
    os._exit(KILLED if killed else ALIVE)


def _silence() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _passes(session: pytest.Session, item: pytest.Item) -> bool:
    """Run one test with all its fixtures."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return session.testsfailed == 0


def _function(mutant: Mutant) -> FunctionType:
    """The living function of a mutant, out of what is wrapped around it."""
    module = import_module(mutant.file.removesuffix(".py").replace("/", "."))
    first, *names = mutant.function.split(".")
    found: Any = reduce(lambda owner, name: owner.__dict__[name], names, getattr(module, first))
    found = getattr(found, "fget", None) or getattr(found, "__wrapped__", None) or found
    assert isinstance(found, FunctionType), mutant.function
    return found


def _measured(session: pytest.Session) -> Reach:
    """Run every test without a mutant, in a child; ends the run where one fails."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _silence()
        with os.fdopen(write, "wb") as pipe:
            pickle.dump(_reach(session), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        reach = pickle.load(pipe)
    os.waitpid(pid, 0)
    if isinstance(reach, str):
        pytest.exit(f"without a mutant this fails: {reach}", 1)
    assert isinstance(reach, Reach)
    return reach


def _reach(session: pytest.Session) -> Reach | str:
    """What each test passes through; where one fails, its name."""
    watch = coverage.Coverage(data_file=None, config_file=False, include=[str(ROOT / one) for one in MODULES])
    took_s: dict[str, float] = {}
    watch.start()
    for item in session.items:
        watch.switch_context(item.nodeid)
        began_s = time.process_time()
        if not _passes(session, item):
            return item.nodeid
        took_s[item.nodeid] = time.process_time() - began_s
    watch.stop()
    for seed in range(SEEDS):
        if play(seed).failures:
            return f"seed {seed} of the explorer"
    data = watch.get_data()
    files = {Path(name).relative_to(ROOT).as_posix(): name for name in data.measured_files()}
    return Reach({name: data.contexts_by_lineno(full) for name, full in files.items()}, took_s)


def run(mutants: Iterable[Mutant], told: Callable[[str], None]) -> Forked:
    """What survives of these mutants; raises where the tests do not pass without them."""
    forked = Forked(mutants, told)
    names = ("terminal", "cacheprovider", "xdist", "pytest_cov")
    options = [f"-pno:{name}" for name in names]
    options += ["-o", "addopts=", "--import-mode=importlib", "--assert=plain", "--capture=no"]
    code = pytest.main([*options, *TESTS], plugins=[forked])
    if code:
        sys.exit(f"the tests end with {code}")
    return forked
