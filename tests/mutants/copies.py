"""A copy of the tree to be changed: mutants never touch the files that they are made from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import ROOT

FOLDERS = ("bot", "adapters", "risk", "tests", "examples")
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


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """A file with another text, and its own again at the end."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def ended(folder: Path, arguments: list[str], limit_s: float) -> tuple[int, str]:
    """How a Python command in the folder ends, and what it says; one that takes too long ends with -1."""
    try:
        done = subprocess.run(
            [sys.executable, "-B", *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(folder), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, ""
    return done.returncode, done.stdout
