"""Banned names, and imports that a kind of module must not have."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.source import CODE, imports, name_of, python_files, tree

BANNED_ENDINGS = ("Manager", "Helper", "Handler", "Service")
BANNED_MODULES = {"utils", "util", "common", "helpers", "misc"}
IMPURE = {"asyncio", "time", "random", "logging", "socket", "os", "threading", "sqlite3", "secrets"}
PURE = ("bot/model", "bot/core", "bot/quant", "bot/vault", "risk")
# where an unknown error is turned into something else: the process, the step's evidence, the run's end
SLEEPS = {"time.sleep", "sleep", "asyncio.sleep"}
POLLS = {
    "tests/rehearsal/test_stock_ccxt.py",  # ccxt says nowhere that it is subscribed
    "tests/adapters/binance/canned.py",  # a network for virtual loops
}
CATCH_ALL = {"bot/__main__.py", "bot/shell/engine.py", "bot/shell/daemon.py"}


def pure_files() -> list[Path]:
    return [
        path
        for path in python_files(*CODE)
        if name_of(path).startswith(tuple(f"{folder}/" for folder in PURE)) or path.name == "codec.py"
    ]


def banned_classes(module: ast.Module) -> list[str]:
    classes = [node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    return [name for name in classes if name.endswith(BANNED_ENDINGS)]


def catches_all(module: ast.Module) -> bool:
    """Whether a module catches ``Exception``, anything, or nothing by name, and does not raise it again."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            last = node.body[-1]
            if isinstance(last, ast.Raise) and last.exc is None:
                continue  # what was begun is put away, and the error goes on
            if None in kinds or names & {"Exception", "BaseException"}:
                return True
    return False


def test_no_class_or_module_has_a_name_that_says_nothing() -> None:
    found = [f"{name_of(path)}: {name}" for path in python_files() for name in banned_classes(tree(path))]
    found += [name_of(path) for path in python_files() if path.stem in BANNED_MODULES]
    assert found == []


def test_pure_modules_have_no_clock_no_dice_and_no_wire() -> None:
    files = pure_files()
    assert len(files) > 10
    found = [
        f"{name_of(path)} imports {name}"
        for path in files
        for name in sorted(imports(path))
        if name.split(".")[0] in IMPURE
    ]
    assert found == []


def test_nothing_is_mocked() -> None:
    found = [
        name_of(path) for path in python_files() if any("mock" in name.split(".") for name in imports(path))
    ]
    assert found == []


def test_unknown_errors_are_caught_in_three_places() -> None:
    found = {name_of(path) for path in python_files(*CODE) if catches_all(tree(path))}
    assert found <= CATCH_ALL
    assert "bot/__main__.py" in found


def test_only_the_wiring_names_a_concrete_adapter() -> None:
    found = [
        f"{name_of(path)} imports {name}"
        for path in python_files("bot")
        for name in sorted(imports(path))
        if name.split(".")[0] == "adapters" and not name_of(path).startswith("bot/wiring/")
    ]
    assert found == []


def test_nobody_sleeps_on_the_wall_clock_in_a_test() -> None:
    """In a virtual loop a sleep takes no time; anywhere else one of 0 only lets others run."""
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ({"time.sleep"} if in_virtual_time(path) else SLEEPS)
        and ast.unparse(node.args[0]) != "0"
        and name_of(path) not in POLLS
    ]
    assert found == []


@cache
def in_virtual_time(path: Path) -> bool:
    return path.parent.name == "virtual" or any(name.startswith("tests.virtual") for name in imports(path))


def test_every_module_says_what_it_is() -> None:
    files = [path for path in python_files(*CODE) if path.name != "__init__.py"]
    assert [name_of(path) for path in files if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("try: f()\nexcept Exception: pass", True),
        ("try: f()\nexcept: pass", True),
        ("try: f()\nexcept (OSError, BaseException): pass", True),
        ("try: f()\nexcept (OSError, ValueError): pass", False),
    ],
)
def test_a_catch_all_is_recognised(text: str, expected: bool) -> None:
    assert catches_all(ast.parse(text)) is expected


def test_a_banned_class_is_recognised() -> None:
    assert banned_classes(ast.parse("class OrderManager: ...\nclass Order: ...")) == ["OrderManager"]
