"""Operators' mutants: functions in which one comparison, sign, constant or result is another.

A mutant is compiled from its module's own syntax tree, and takes the place of one function's code.  What
must stay true: the same source gives the same mutants with the same names, whatever its line numbers are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from types import CodeType
from zlib import crc32

from msgspec import Struct

from tests.conftest import ROOT

MODULES = (
    "risk/tradable.py", "risk/ratio.py", "risk/needs.py", "risk/guard.py", "risk/fuse.py", "risk/budgets.py",
    "risk/ownership.py", "risk/deleverage.py", "risk/fee_coin.py", "risk/opening_holds.py",
    "bot/core/decide/alerts.py", "bot/core/decide/candidates.py", "bot/core/decide/conditions.py",
    "bot/core/decide/draft.py", "bot/core/decide/events.py", "bot/core/decide/idle.py",
    "bot/core/decide/pricing.py", "bot/core/decide/rebalancer.py", "bot/core/decide/room.py",
    "bot/core/decide/sizing.py", "bot/core/pairs.py", "bot/core/residuals.py", "bot/core/shortfall.py",
    "bot/core/signals.py", "bot/core/switch.py",
)  # fmt: skip
OTHER: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,), ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
ONE_OF = 4  # mutants: what half an hour holds on two cores
LEFT_OUT = ("annotation", "args", "decorator_list", "returns")
LONGEST = 70  # characters of an expression in a mutant's name


class Mutant(Struct, frozen=True):
    """``name`` is unique; ``function`` is its qualified name, ``first`` and ``last`` are the changed lines;
    ``site`` is what to change, for `code_of`."""

    name: str
    file: str
    function: str
    first: int
    last: int
    site: int


class _Site(Struct):
    """Where a node of the tree is changed: an item or a field of ``owner``, and what it becomes."""

    owner: ast.AST
    field: str
    place: int | None
    node: ast.AST
    other: ast.AST
    function: str


def sample() -> list[Mutant]:
    """The mutants that a run meets, one of so many.  A mutant's own name draws it, so that a change of one
    function leaves the sample of every other one as it was."""
    return [one for file in MODULES for one in mutants_of(file) if crc32(one.name.encode()) % ONE_OF == 0]


def mutants_of(file: str) -> list[Mutant]:
    return mutants_in(file, _source(file))


def mutants_in(file: str, source: str) -> list[Mutant]:
    """Every mutant of the functions of a module, in the order of its text."""
    seen: Counter[str] = Counter()
    found = []
    for number, site in enumerate(_sites(ast.parse(source))):
        name = f"{file} {site.function}: {_told(site, source)}"
        seen[name] += 1
        if seen[name] > 1:
            name = f"{name} #{seen[name]}"
        first, last = getattr(site.node, "lineno", 0), getattr(site.node, "end_lineno", 0)
        found.append(Mutant(name, file, site.function, first, last, number))
    return found


def code_of(mutant: Mutant, source: str | None = None) -> CodeType:
    """The changed function's code, as Python compiles it in the changed module."""
    tree = ast.parse(_source(mutant.file) if source is None else source)
    site = next(each for number, each in enumerate(_sites(tree)) if number == mutant.site)
    _put(site, site.other)
    module = compile(ast.fix_missing_locations(tree), str(ROOT / mutant.file), "exec")
    return next(code for code in _codes(module) if code.co_qualname == mutant.function)


def _sites(tree: ast.Module) -> Iterator[_Site]:
    for top in tree.body:
        if isinstance(top, ast.FunctionDef):
            yield from _within(top, top.name)
        elif isinstance(top, ast.ClassDef):
            for each in top.body:
                if isinstance(each, ast.FunctionDef):
                    yield from _within(each, f"{top.name}.{each.name}")


def _within(function: ast.FunctionDef, name: str) -> Iterator[_Site]:
    """The sites of a function's body; signatures, annotations and decorators are left out."""
    todo: list[ast.AST] = [function]
    while todo:
        owner = todo.pop()
        below: list[ast.AST] = []
        for field, value in ast.iter_fields(owner):
            if field in LEFT_OUT and not isinstance(owner, ast.Call):
                continue
            places = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for place, node in places:
                if isinstance(node, ast.AST):
                    below.append(node)
                    for other in _others(node):
                        yield _Site(owner, field, place, node, other, name)
        todo += reversed(below)


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.Compare(ops=[operator]):
            for kind in OTHER[type(operator)]:
                yield _changed(node, ops=[kind()])
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            for kind in OTHER.get(type(node.op), ()):
                yield _changed(node, op=kind())
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value) if value in (0, 1):
            yield ast.Constant(value + 1)
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield ast.Name(NAMES[name], ast.Load())
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield _changed(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Return(value=value) if value is not None and not _is_nothing(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Continue() | ast.Break():
            yield ast.Pass()
        case _:
            pass


def _changed(node: ast.AST, **fields: object) -> ast.AST:
    other = deepcopy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _is_nothing(node: ast.AST) -> bool:
    """Whether ``None`` in its place would be no change, or one that is made anyway."""
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _put(site: _Site, node: ast.AST) -> None:
    if site.place is None:
        setattr(site.owner, site.field, node)
    else:
        getattr(site.owner, site.field)[site.place] = node


def _told(site: _Site, source: str) -> str:
    """What is changed, as its source has it, and what it becomes: of a constant or a name with the expression
    around it."""
    is_small = isinstance(site.node, ast.Constant | ast.Name) and isinstance(site.owner, ast.expr)
    around = site.owner if is_small else site.node
    text = " ".join((ast.get_source_segment(source, around) or "").split())
    if isinstance(around, ast.If | ast.IfExp):
        text = " ".join((ast.get_source_segment(source, around.test) or "").split())
    short = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 :]}"
    before = f"{ast.unparse(site.node)} → " if is_small else ""
    return f"{short} | {before}{_word(site)}"


def _word(site: _Site) -> str:
    """What a node becomes, in a word that is the same in each Python."""
    if isinstance(site.node, ast.UnaryOp):
        return "without its sign"
    match site.other:
        case ast.Compare(ops=[kind]):
            return type(kind).__name__
        case ast.BinOp(op=kind) | ast.AugAssign(op=kind) | ast.BoolOp(op=kind):
            return type(kind).__name__
        case ast.Constant(value=value):
            return repr(value)
        case ast.Name(id=name):
            return name
        case ast.If() | ast.IfExp():
            return "if not"
        case ast.Return():
            return "return None"
        case ast.Pass():
            return "pass"
        case _:
            raise TypeError(type(site.other))


def _codes(code: CodeType) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _codes(each)


@cache
def _source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")
