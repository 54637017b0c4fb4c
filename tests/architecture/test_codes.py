"""The documents of codes and metrics say what the program does, no more and no fewer."""

from __future__ import annotations

import ast
import re

import pytest

from bot.core.decide import events
from bot.core.decide.conditions import KINDS
from bot.core.decide.standing import STANDING, UNDER_WAY
from bot.shell.metrics import ALERTS, CONDITIONS, HOLDS, NAMES, PREFIX
from risk.watch import PASSABLE
from tests.architecture import codes
from tests.architecture.codes import first_word, given, rows
from tests.architecture.source import CODE, ROOT

DOCUMENT = "docs/CODES.md"
CORE = ("bot", "risk")


def read(callee: str, position: int, *folders: str, keyword: str = "") -> set[str]:
    found = given(callee, position, *folders, keyword=keyword)
    assert found.hidden == [], f"write the codes of {callee} so that they can be read"
    assert found.codes
    return {first_word(code) for code in found.codes}


def idle_codes() -> set[str]:
    return read("Idle", 0, *CORE, keyword="reason")


def hold_codes() -> set[str]:
    return read("Hold", 0, "risk", keyword="code") | read("Unfit", 0, "bot", keyword="code")


def test_the_document_names_every_hold() -> None:
    listed = rows(DOCUMENT, "## Holds")
    assert len(listed) == len(set(listed))
    assert hold_codes() == set(listed) == set(HOLDS)
    assert len(HOLDS) == len(set(HOLDS))


def test_the_document_names_every_idle_code() -> None:
    listed = rows(DOCUMENT, "## Idle codes")
    assert len(listed) == len(set(listed))
    stems = tuple(code for code in listed if code.endswith("_"))  # one row for each mode, or each rule
    found = {next((stem for stem in stems if code.startswith(stem)), code) for code in idle_codes()}
    elsewhere = hold_codes() | set(STANDING)
    assert found - elsewhere == set(listed)
    assert set(UNDER_WAY) <= found


def test_what_a_pair_is_told_to_stand_for_can_be_its_idle_code() -> None:
    unused = set(STANDING) - idle_codes() - hold_codes()
    assert unused <= {"not_held"}, unused


def test_the_document_names_every_rule_of_the_guard_and_every_budget() -> None:
    listed = rows(DOCUMENT, "## Guard rules", "## Budgets")
    assert len(listed) == len(set(listed))
    assert read("Refused", 0, "risk", keyword="rule") - set(HOLDS) == set(listed)
    assert set(PASSABLE) <= set(listed)


def test_the_document_names_every_number_that_may_be_missing() -> None:
    (row,) = re.findall(r"^\| `missing:WHAT` \| (.*?) \|", (ROOT / DOCUMENT).read_text("utf-8"), re.MULTILINE)
    found = read("MissingData", 0, "risk", keyword="what")
    assert set(re.findall(r"`(\w+)`", row)) == found | {"brackets"}


def test_the_document_names_every_condition() -> None:
    listed = rows(DOCUMENT, "### Conditions")
    told = read("Condition", 0, *CORE, keyword="kind") | read("_as_told", 1, "bot", keyword="kind")
    assert told | set(STANDING) == {*KINDS, *STANDING} == set(listed) == set(CONDITIONS)
    assert len(listed) == len(KINDS) + len(STANDING)  # `halted` stands for everything and for a pair


def test_the_document_names_every_event() -> None:
    listed = rows(DOCUMENT, "### Events")
    assert len(listed) == len(set(listed))
    raised = given("RaiseAlert", 0, *CODE, keyword="key")
    assert [place for place in raised.hidden if "decide/alerts.py" not in place] == []  # those are conditions
    assert {first_word(key) for key in raised.codes} == set(listed) == {*events.KINDS, "settings_refused"}
    assert {*listed, *CONDITIONS} == set(ALERTS)


def test_the_document_lists_the_metrics_that_there_are() -> None:
    text = (ROOT / "docs/METRICS.md").read_text(encoding="utf-8")
    listed = re.findall(rf"^\| `{PREFIX}(\w+)` \| (.*) \|$", text, re.MULTILINE)
    assert len(listed) == len(NAMES)
    assert dict(listed) == NAMES


def test_every_number_that_is_told_is_a_metric_that_is_listed() -> None:
    assert read("Reading", 0, "adapters", "bot", keyword="name") == set(NAMES)


# --- the reading itself -----------------------------------------------------------------------------------

SOURCE = """
A, B = "first", "second"
KEYS = {"key": 1}
TABLE = {"x": "of_table", "y": A}

def f(code, why):
    Made(code, 1)
    Made(why.reason)

def g(x, maybe):
    f("passed", x)
    f(code="named", why=x)
    word = "local" if x else B
    Made(word)
    Made(TABLE[x])
    Made(f"stem_{x}")
    for one, other in (("looped", 1), (A, 2)):
        Made(one)
    for key in KEYS:
        Made(key)
    Made(told(x))
    Made(%s)

def told(x):
    if x:
        return "returned"
    return g(x)
"""
FOUND = {"first", "second", "of_table", "passed", "named", "local", "stem_", "looped", "returned", "key"}


@pytest.mark.parametrize(
    ("last", "hidden"),
    [("'seen'", []), ("maybe", ["maybe"]), ("x + 'y'", ["x + 'y'"]), ("unknown(x)", ["unknown(x)"])],
)
def test_codes_are_followed_to_their_constants_and_what_hides_is_named(
    last: str, hidden: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ROOT / f"made_{len(last)}.py"
    module = ast.parse(SOURCE % last)
    monkeypatch.setattr(codes, "python_files", lambda *folders: [path])
    monkeypatch.setattr(codes, "tree", lambda _: module)
    codes._nodes.cache_clear()
    found = given("Made", 0, "anything")
    codes._nodes.cache_clear()
    assert found.codes == (FOUND if hidden else FOUND | {"seen"})
    assert [place.partition(": ")[2] for place in found.hidden] == hidden


def test_a_code_is_known_by_what_does_not_change() -> None:
    written = ["guard_RULE", "guard_", "missing:WHAT", "legged:PAIR", "halted", "mode_MODE", "forced:TRADE"]
    assert [first_word(code) for code in written] == [
        "guard_", "guard_", "missing", "legged", "halted", "mode_", "forced"
    ]  # fmt: skip
