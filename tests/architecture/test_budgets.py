"""Budgets: how long a module, a function, a line and a document may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, name_of, python_files, tree

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 6
LINE_LENGTH = 110
DOCUMENTS = {
    "README.md": 150,
    "CONTRIBUTING.md": 40,
    "docs/ARCHITECTURE.md": 150,
    "docs/STYLE.md": 80,
}
DECISION_LINES = 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def over_budget(path: Path, text: str, module: ast.Module) -> list[str]:
    """What in a module is beyond its budget, as sentences."""
    lines = text.splitlines()
    found = []
    if len(lines) > MODULE_LINES:
        found.append(f"{len(lines)} lines")
    found += [
        f"line {number} has {len(line)} characters"
        for number, line in enumerate(lines, 1)
        if len(line) > LINE_LENGTH
    ]
    for node in ast.walk(module):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"{node.name} has {length} lines")
            if len(parameters(node)) > PARAMETERS and not (is_verb(node) or node.name.startswith("test_")):
                found.append(f"{node.name} has {len(parameters(node))} parameters")
    return [f"{path}: {what}" for what in found]


def parameters(function: Function) -> list[str]:
    names = [
        each.arg for each in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    ]
    return [name for name in names if name not in {"self", "cls"}]


def is_verb(function: Function) -> bool:
    """A verb of the command line: its parameters are the options a user can give."""
    return any(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "command"
        for each in function.decorator_list
    )


def test_every_module_keeps_its_budget() -> None:
    files = python_files()
    assert len(files) > 20
    found = [
        what for path in files for what in over_budget(path, path.read_text(encoding="utf-8"), tree(path))
    ]
    assert [what.replace(f"{ROOT}/", "") for what in found] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = 1\n" * 401, "401 lines"),
        ("x = '" + "y" * 110 + "'", "line 1 has 116 characters"),
        ("def f():\n" + "    x = 1\n" * 60, "f has 61 lines"),
        ("def f(a, b, c, d, *, e, f, g): ...", "f has 7 parameters"),
        ("@other\ndef f(a, b, c, d, e, f, g): ...", "f has 7 parameters"),
    ],
)
def test_what_is_beyond_a_budget_is_found(text: str, what: str) -> None:
    assert over_budget(Path("m.py"), text, ast.parse(text)) == [f"m.py: {what}"]


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n" * 400,
        "def f():\n" + "    x = 1\n" * 59,
        "class A:\n    def f(self, a, b, c, d, e, f): ...",
        "@app.command()\ndef f(a, b, c, d, e, f, g): ...",
        "def test_f(a, b, c, d, e, f, g): ...",  # the columns of a table
    ],
)
def test_what_is_within_the_budget_passes(text: str) -> None:
    assert over_budget(Path("m.py"), text, ast.parse(text)) == []


def test_documents_keep_their_budget() -> None:
    budgets = {ROOT / name: lines for name, lines in DOCUMENTS.items()}
    decisions = sorted((ROOT / "docs/adr").glob("*.md"))
    assert decisions
    budgets.update(dict.fromkeys(decisions, DECISION_LINES))
    found = []
    for path, lines in budgets.items():
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > lines:
            found.append(f"{name_of(path)} has {length} lines of {lines}")
    assert found == []
