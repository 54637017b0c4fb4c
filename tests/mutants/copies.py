"""Copies of the tree to be changed: mutants never touch the files that they are made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import ROOT
from tests.mutants.rows import Case, Change, Seed

FOLDERS = ("bot", "adapters", "risk", "tests", "examples")
LONGEST_S = 120.0
GREEN, RED = 0, 1  # how pytest ends, and `tests.mutants.seed`
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.gz")


@contextmanager
def copied() -> Iterator[Path]:
    """The sources in a folder of their own, gone at the end."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        for one in FOLDERS:
            shutil.copytree(ROOT / one, folder / one, ignore=LEFT_OUT)
        shutil.copy(ROOT / "pyproject.toml", folder)
        yield folder


def put(folder: Path, changes: tuple[Change, ...]) -> None:
    """Make a row's changes in a copy; raises where a text does not stand in its file exactly once."""
    for change in changes:
        path = folder / change.file
        text = path.read_text(encoding="utf-8")
        if text.count(change.old) != 1:
            raise LookupError(f"{change.file} has {text.count(change.old)} times: {change.old!r}")
        path.write_text(text.replace(change.old, change.new), encoding="utf-8")


def notices(folder: Path, killer: Seed | Case) -> bool:
    """Whether a killer fails in this copy; raises where it could not be run."""
    if isinstance(killer, Seed):
        words = ["-m", "tests.mutants.seed", str(killer.number), killer.ending]
    else:
        words = ["-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", killer.node]
    done = subprocess.run(
        [sys.executable, "-B", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    if done.returncode not in (GREEN, RED):
        raise RuntimeError(f"{killer} ends with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.returncode == RED
