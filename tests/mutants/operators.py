"""Operators' mutants: one comparison, sign, constant or condition of a function changed.

A mutant is named by its file, its function and its line's text before and after, so that the list of
survivors holds while lines move.  What must stay true: a mutant parses, and differs from its source in one
place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

# what decides, and what is asked before it does
FILES = (
    "risk/budgets.py", "risk/deleverage.py", "risk/fee_coin.py", "risk/fuse.py", "risk/guard.py",
    "risk/needs.py", "risk/opening_holds.py", "risk/ownership.py", "risk/ratio.py", "risk/tradable.py",
    "bot/core/decide/candidates.py", "bot/core/decide/conditions.py", "bot/core/decide/draft.py",
    "bot/core/decide/pricing.py", "bot/core/decide/rebalancer.py", "bot/core/decide/room.py",
    "bot/core/decide/sizing.py", "bot/core/pairs.py", "bot/core/shortfall.py", "bot/core/signals.py",
    "bot/core/switch.py",
)  # fmt: skip

_COMPARES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_SIGNS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}


class Mutant(Struct, frozen=True):
    """``text`` is the whole file; ``line`` that of the changed statement, from 1; ``name`` is its row in the
    list."""

    file: str
    line: int
    name: str
    text: str


def mutants(root: Path, file: str) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its nodes."""
    source = (root / file).read_text(encoding="utf-8")
    tree = ast.parse(source)
    for function in _functions(tree):
        statements = _statements(function)
        for node in ast.walk(function):
            for before, after in _changes(node):
                span = ast.get_source_segment(source, before)
                if span is None or not isinstance(before, ast.expr):
                    continue
                text = _replaced(source, before, after)
                lines, changed = source.splitlines(), text.splitlines()
                at = before.lineno - 1
                old = " ".join(" ".join(lines[at : (before.end_lineno or at + 1)]).split())
                end = at + 1 + len(changed) - len(lines) + (before.end_lineno or 0) - before.lineno
                new = " ".join(" ".join(changed[at : max(end, at + 1)]).split())
                name = f"{file} {function.name}: {old} => {new}"
                yield Mutant(file, statements[before], name, text)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node


def _statements(function: ast.FunctionDef) -> dict[ast.AST, int]:
    """The line of the innermost statement that each node belongs to: what is passed is noted by it."""
    found: dict[ast.AST, int] = {}
    for statement in ast.walk(function):  # outer ones come first
        if isinstance(statement, ast.stmt):
            found.update(dict.fromkeys(ast.walk(statement), statement.lineno))
    return found


def _replaced(source: str, before: ast.expr, after: ast.expr) -> str:
    """The source with one expression written anew, in brackets."""
    lines = source.splitlines(keepends=True)
    first, last = before.lineno - 1, (before.end_lineno or before.lineno) - 1
    head = lines[first].encode()[: before.col_offset].decode()
    tail = lines[last].encode()[before.end_col_offset :].decode()
    return "".join((*lines[:first], f"{head}({ast.unparse(after)}){tail}", *lines[last + 1 :]))


def _changes(node: ast.AST) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Expressions and what they become."""
    match node:
        case ast.Compare(left, ops, comparators) if type(ops[0]) in _COMPARES:
            yield node, ast.Compare(left, [_COMPARES[type(ops[0])](), *ops[1:]], comparators)
        case ast.BoolOp(ast.And(), values):
            yield node, ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(ast.Or(), values):
            yield node, ast.BoolOp(ast.And(), values)
        case ast.BinOp(left, operator, right) if type(operator) in _SIGNS and not _is_text(left):
            yield node, ast.BinOp(left, _SIGNS[type(operator)](), right)
        case ast.UnaryOp(ast.Not(), operand):
            yield node, operand
        case ast.UnaryOp(ast.USub(), operand):
            yield node, operand
        case ast.IfExp(test, body, orelse):
            yield node, ast.IfExp(test, orelse, body)
        case ast.Call(ast.Name(name), arguments, keywords) if name in _CALLS:
            yield node, ast.Call(ast.Name(_CALLS[name]), arguments, keywords)
        case ast.Constant(bool() as value):
            yield node, ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield node, ast.Constant(value + 1)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
