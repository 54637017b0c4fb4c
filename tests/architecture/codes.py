"""The codes that the program can give, read from its source.

A code is the text that a call of some struct is given (``Hold("gap", …)``).  `given` follows what is written
there back to its constants: choices, names, tables, parameters through the calls of their function, results
through its returns.  Whatever it cannot follow it names, so that no code can hide from the documents.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from tests.architecture.source import ROOT, name_of, python_files, tree

Function = ast.FunctionDef | ast.AsyncFunctionDef
PASSED_ON = ("code", "rule", "reason", "idle", "closed_code")  # fields that only hold a code given elsewhere
DEEP = 6


class Given(Struct):
    """``codes`` that were found, an f-string by what stands before its first field, and ``hidden``: places
    that could not be followed."""

    codes: set[str]
    hidden: list[str]


class Place(Struct, frozen=True):
    """Where an expression stands."""

    path: Path
    function: Function | None
    folders: tuple[str, ...]


def given(callee: str, position: int, *folders: str, keyword: str = "") -> Given:
    """What calls of ``callee`` are given in ``position`` or as ``keyword``."""
    found = Given(set(), [])
    for place, call in _calls(callee, folders):
        argument = _argument(call, position, keyword)
        if argument is not None:
            _follow(argument, place, found, DEEP)
    return found


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    named = [each.value for each in call.keywords if each.arg == keyword]
    return call.args[position] if len(call.args) > position else next(iter(named), None)


def _calls(callee: str, folders: tuple[str, ...]) -> Iterator[tuple[Place, ast.Call]]:
    for path in python_files(*folders):
        for function, node in _nodes(path):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                if (node.func.id if isinstance(node.func, ast.Name) else name) == callee:
                    yield Place(path, function, folders), node


@cache
def _nodes(path: Path) -> tuple[tuple[Function | None, ast.AST], ...]:
    """Every node with the innermost function that it stands in."""

    def walk(node: ast.AST, function: Function | None) -> Iterator[tuple[Function | None, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield function, child
            yield from walk(child, child if isinstance(child, Function) else function)

    return tuple(walk(tree(path), None))


def _follow(node: ast.expr, place: Place, found: Given, deep: int) -> None:
    match node:
        case ast.Constant(value=str(value)):
            found.codes.add(value)
        case ast.JoinedStr(values=[ast.Constant(value=str(value)), *_]):
            found.codes.add(value)
        case ast.IfExp(body=body, orelse=other):
            _follow(body, place, found, deep)
            _follow(other, place, found, deep)
        case ast.BoolOp(values=parts) | ast.Tuple(elts=parts) | ast.Dict(keys=parts):
            for part in parts:
                if part is not None:
                    _follow(part, place, found, deep)
        case ast.Attribute(attr=attr) if attr in PASSED_ON:
            pass
        case _:
            if not deep or not _follow_name(node, place, found, deep - 1):
                line = f"{name_of(place.path)}:{node.lineno}: {ast.unparse(node)}"
                found.hidden.append(line)


def _follow_name(node: ast.expr, place: Place, found: Given, deep: int) -> bool:
    """Follow a name, a row of a table or the result of a function; false where nothing says what it is."""
    match node:
        case ast.Name(id=name):
            sources = [*_assigned(name, place), *_passed(name, place)]
        case ast.Attribute(attr=name):  # a constant of another module
            sources = _constants(name, place)
        case ast.Subscript(value=ast.Name(id=name)):
            sources = [
                (row, where)
                for table, where in _constants(name, place)
                if isinstance(table, ast.Dict)
                for row in table.values
            ]
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            sources = _returned(name, place)
        case _:
            sources = []
    for source, where in sources:
        _follow(source, where, found, deep)
    return bool(sources)


Source = tuple[ast.expr, Place]


def _constants(name: str, place: Place) -> list[Source]:
    """What this module, or where it does not any other one, assigns to ``name`` outside of functions."""
    found = [
        (value, Place(path, None, place.folders))
        for path in python_files(*place.folders)
        for function, node in _nodes(path)
        if function is None
        for value in _values(name, node)
    ]
    return _nearest(found, place)


def _nearest(found: list[Source], place: Place) -> list[Source]:
    """Those of the same module, if there are any."""
    return [source for source in found if source[1].path == place.path] or found


def _assigned(name: str, place: Place) -> list[Source]:
    """What the function assigns to ``name``; where it assigns nothing, what modules do."""
    if place.function is not None:
        inside = [value for node in ast.walk(place.function) for value in _values(name, node)]
        if inside:
            return [(value, place) for value in inside]
        if any(each.arg == name for each in _parameters(place.function)):
            return []
    return _constants(name, place)


def _values(name: str, node: ast.AST) -> Iterator[ast.expr]:
    """What one statement gives a name: alone, in a row of names, or from each row of a loop."""
    match node:
        case (
            ast.Assign(targets=[target], value=value)
            | ast.AnnAssign(target=target, value=ast.expr() as value)
        ):
            rows = [value]
        case ast.For(target=target, iter=ast.Tuple(elts=rows) | ast.List(elts=rows)):
            pass
        case ast.For(target=target, iter=ast.expr() as value) if name in _names(target):
            rows = [value]
        case _:
            return
    for row in rows:
        if isinstance(target, ast.Name) and target.id == name:
            yield row
        elif isinstance(target, ast.Tuple) and name in _names(target):
            place = _names(target).index(name)
            yield row.elts[place] if isinstance(row, ast.Tuple) and len(row.elts) > place else row


def _names(target: ast.expr) -> list[str]:
    parts = target.elts if isinstance(target, ast.Tuple) else [target]
    return [part.id if isinstance(part, ast.Name) else "" for part in parts]


def _parameters(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _passed(name: str, place: Place) -> list[Source]:
    """What the calls of the function give for its parameter ``name``."""
    if place.function is None:
        return []
    names = [each.arg for each in _parameters(place.function)]
    if name not in names:
        return []
    position = names.index(name) - (names[0] == "self")
    found = [
        (_argument(call, position, name), where) for where, call in _calls(place.function.name, place.folders)
    ]
    given_there = [(argument, where) for argument, where in found if argument is not None]
    return _nearest(given_there, place) if place.function.name.startswith("_") else given_there


def _returned(name: str, place: Place) -> list[Source]:
    """The texts that a function returns; what else it returns is no code."""
    found: list[Source] = [
        (node.value, Place(path, function, place.folders))
        for path in python_files(*place.folders)
        for function, node in _nodes(path)
        if isinstance(node, ast.Return) and function is not None and function.name == name
        if isinstance(node.value, ast.Constant | ast.IfExp | ast.JoinedStr)
    ]
    return _nearest(found, place)


def rows(document: str, *headings: str) -> list[str]:
    """The codes in the first column of the tables below ``headings``; capitals stand for names."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for heading in headings:
        below = text.partition(f"\n{heading}\n")[2]
        level = heading.split(" ", 1)[0]
        for line in below.splitlines():
            if line.startswith("#") and len(line.split(" ", 1)[0]) <= len(level):
                break
            if line.startswith("| `"):
                cell = line.split(" | ", 1)[0]
                found += [first_word(code) for code in cell.replace("|", "").replace("`", "").split(", ")]
    return found


def first_word(code: str) -> str:
    """A code up to what changes: ``guard_RULE`` and ``guard_lot`` begin alike in the source as ``guard_``."""
    return code.strip().partition(":")[0].rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
