"""The runbook keeps its budget and names the verbs that there are."""

from __future__ import annotations

import re

import pytest

from bot.cli_operator import MEANINGS
from bot.shell.dialogue import MODES
from tests.architecture.source import ROOT

LINES = 250


@pytest.fixture(scope="module")
def runbook() -> str:
    return (ROOT / "docs/RUNBOOK.md").read_text(encoding="utf-8")


def section(runbook: str, heading: str) -> str:
    return runbook.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def test_it_keeps_its_budget(runbook: str) -> None:
    assert len(runbook.splitlines()) <= LINES


def test_it_names_every_verb_of_an_operator(runbook: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \|", section(runbook, "Commands"), re.MULTILINE)
    assert dict(listed) == {verb: mode.name for verb, mode in MODES.items()}
    assert set(MEANINGS) == set(MODES)
