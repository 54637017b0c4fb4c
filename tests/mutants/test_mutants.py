"""The mutants stand where they are said to, and change what they say; `make mutate` runs them."""

from __future__ import annotations

import ast
from types import FunctionType

import pytest

from tests.conftest import ROOT
from tests.mutants.operators import MODULES, code_of, mutants_in, mutants_of, sample
from tests.mutants.rows import ROWS, Case, Row
from tests.mutants.survivors import accepted

SOURCE = '''
def clamp(x, low=0):
    """No more than ten."""
    if x < low or not x:
        return low
    return min(x, 10) + 1

class Box:
    def is_full(self, n: int = 3) -> bool:
        return n == 1
'''
EXPECTED = [
    "x < low or not x | if not",
    "return min(x, 10) + 1 | return None",
    "x < low or not x | And",
    "return low | return None",
    "x < low | LtE",
    "x < low | GtE",
    "not x | without its sign",
    "min(x, 10) + 1 | Sub",
    "min(x, 10) + 1 | 1 → 2",
    "min(x, 10) | min → max",
]


def clamp(x: int, low: int = 0) -> int:
    if x < low or not x:
        return low
    return min(x, 10) + 1


def test_each_operator_gives_its_mutants_and_signatures_give_none() -> None:
    found = mutants_in("x.py", SOURCE)
    assert [one.name.removeprefix("x.py clamp: ") for one in found[: len(EXPECTED)]] == EXPECTED
    assert {one.function for one in found} == {"clamp", "Box.is_full"}
    assert [one.name for one in found[len(EXPECTED) :]] == [
        "x.py Box.is_full: return n == 1 | return None",
        "x.py Box.is_full: n == 1 | NotEq",
        "x.py Box.is_full: n == 1 | 1 → 2",
    ]


def test_a_mutant_in_the_place_of_a_function_does_what_it_says() -> None:
    made = {one.name.removeprefix("x.py clamp: "): one for one in mutants_in("x.py", SOURCE)}
    changed = FunctionType(clamp.__code__, globals(), "clamp", (0,))
    assert (changed(20), changed(5), changed(-1)) == (11, 6, 0)
    changed.__code__ = code_of(made["min(x, 10) | min → max"], SOURCE)
    assert (changed(20), changed(5), changed(-1)) == (21, 11, 0)
    changed.__code__ = code_of(made["x < low | GtE"], SOURCE)
    assert changed(5) == 0


def test_names_do_not_depend_on_the_lines() -> None:
    moved = [one.name for one in mutants_in("x.py", f"import os\n\n{SOURCE}")]
    assert moved == [one.name for one in mutants_in("x.py", SOURCE)]


@pytest.mark.parametrize("file", MODULES)
def test_every_module_has_mutants_with_names_of_their_own(file: str) -> None:
    found = mutants_of(file)
    assert found
    assert len({one.name for one in found}) == len(found)


def test_every_row_of_the_table_is_taken_back_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, 19))


@pytest.mark.parametrize("row", ROWS, ids=[f"row {row.number}" for row in ROWS])
def test_what_a_row_replaces_stands_in_its_file_once(row: Row) -> None:
    for change in row.changes:
        text = (ROOT / change.file).read_text(encoding="utf-8")
        assert text.count(change.old) == 1, change.old
        ast.parse(text.replace(change.old, change.new))
    if isinstance(row.killer, Case):
        file, _, name = row.killer.node.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_survivor_is_a_mutant_of_the_sample_and_has_a_reason() -> None:
    names = {one.name for one in sample()}
    assert [name for name in accepted() if name not in names] == []
    assert all(len(reason) > 20 for reason in accepted().values())
