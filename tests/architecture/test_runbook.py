"""The runbook says what the program does: its metrics, holds, alerts and verbs, no more and no fewer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from bot.cli_operator import MEANINGS
from bot.core.decide import events
from bot.core.decide.conditions import KINDS, STANDING
from bot.shell.dialogue import MODES
from bot.shell.metrics import ALERTS, CONDITIONS, HOLDS, NAMES, PREFIX
from tests.architecture.source import CODE, ROOT, python_files, tree

LINES = 250


@pytest.fixture(scope="module")
def runbook() -> str:
    return (ROOT / "docs/RUNBOOK.md").read_text(encoding="utf-8")


def section(runbook: str, heading: str) -> str:
    return runbook.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def arguments(callee: str, position: int, *folders: str) -> Iterator[str]:
    """The text that calls of ``callee`` give there: a constant whole, an f-string up to its first field."""
    for path in python_files(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == callee:
                given = node.args[position]
                if isinstance(given, ast.JoinedStr):
                    given = given.values[0]
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    yield given.value


def test_it_keeps_its_budget(runbook: str) -> None:
    assert len(runbook.splitlines()) <= LINES


def test_it_lists_the_metrics_that_there_are(runbook: str) -> None:
    listed = re.findall(rf"^\| `{PREFIX}(\w+)` \| (.*) \|$", runbook, re.MULTILINE)
    assert dict(listed) == NAMES


def test_what_a_gateway_tells_is_a_metric_that_is_listed() -> None:
    found = set(arguments("Reading", 0, "adapters"))
    assert "rate_used_count" in found
    assert found <= set(NAMES)


def test_it_names_every_hold(runbook: str) -> None:
    listed = set(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section(runbook, "Not ready"), re.MULTILINE))
    codes = {code for cell in listed for code in re.findall(r"\w+", cell) if not code.isdecimal()}
    assert codes == {*arguments("Hold", 0, "risk"), *arguments("Unfit", 0, "bot")} == set(HOLDS)


@pytest.fixture(scope="module")
def alerts() -> str:
    return section((ROOT / "docs/CODES.md").read_text(encoding="utf-8"), "Alerts")


def test_the_codes_name_every_condition(alerts: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)[:`]", alerts.split("\n### Conditions\n")[1].split("\n### ", maxsplit=1)[0], re.MULTILINE
    )
    told = {*arguments("Condition", 0, *CODE), *arguments("_as_told", 1, *CODE), *STANDING}
    assert told == {*KINDS, *STANDING} == set(rows) == set(CONDITIONS)
    assert len(rows) == len(KINDS) + len(STANDING)  # `halted` stands for everything and for a pair


def test_the_codes_name_every_event(alerts: str) -> None:
    rows = re.findall(r"^\| `(\w+)[:`]", alerts.split("\n### Events\n")[1], re.MULTILINE)
    raised = [*arguments("RaiseAlert", 0, *CODE), *arguments("_freeze", 3, *CODE)]
    assert (
        sorted(rows)
        == sorted({key.split(":")[0] for key in raised})
        == sorted((*events.KINDS, "settings_refused"))
    )
    assert {*rows, *CONDITIONS} == set(ALERTS)


def test_it_names_every_verb_of_an_operator(runbook: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \| ([A-Z_]+) \|", section(runbook, "Commands"), re.MULTILINE)
    assert dict(listed) == {verb: mode.name for verb, mode in MODES.items()}
    assert set(MEANINGS) == set(MODES)
