"""Nothing that sends an order or a cancel is ever repeated: no loop, no retry, no question that may be asked
again.

The test reads the source: a call that sends stands in no loop of its function, its function is handed to
nothing that repeats, and what builds an order's request is never given to what reads.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import name_of, python_files, tree

# what lets an order or a cancel leave, by the name of the method that is called
SENDING = frozenset({"attempt", "create_order", "cancel_order", "create_order_ws", "cancel_order_ws"})
BUILDING = frozenset({"place", "cancel"})  # of `adapters.binance.requests`
READING = frozenset({"read"})
REPEATING = frozenset({"retry", "AsyncRetrying", "Retrying", "attempts", "retried", "repeat"})
LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# it calls `attempt` and is repeated, and refuses to ask what would send
QUESTIONS = frozenset({"_read_once"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(module) if isinstance(node, Function))


def called(node: ast.Call) -> str:
    """The last name of what is called."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def sends(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) and called(each) in SENDING for each in ast.walk(node))


def repeated_sends(module: ast.Module) -> list[str]:
    """Every way in which a module could send twice, as sentences."""
    found = []
    sending = {each.name for each in functions(module) if sends(each)} - QUESTIONS
    for function in functions(module):
        if function.name not in sending:
            continue
        found += [
            f"{function.name} sends in a loop"
            for node in ast.walk(function)
            if isinstance(node, LOOPS) and sends(node)
        ]
        found += [
            f"{function.name} sends and is decorated to be repeated"
            for decorator in function.decorator_list
            if REPEATING & {each.id for each in ast.walk(decorator) if isinstance(each, ast.Name)}
        ]
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and called(node) in REPEATING:
            handed = {
                each.attr if isinstance(each, ast.Attribute) else each.id
                for argument in node.args
                for each in ast.walk(argument)
                if isinstance(each, ast.Attribute | ast.Name)
            }
            found += [f"{name} sends and is handed to {called(node)}" for name in sorted(handed & sending)]
            found += [f"{called(node)} repeats a send" for argument in node.args if sends(argument)]
        if isinstance(node, ast.Call) and called(node) in READING:
            found += [
                f"{called(each)} is asked as a question"
                for argument in node.args
                for each in ast.walk(argument)
                if isinstance(each, ast.Call) and called(each) in BUILDING
            ]
    return found


def test_no_send_is_repeated() -> None:
    files = python_files("adapters", "bot")
    assert any(sends(tree(path)) for path in files)
    found = [f"{name_of(path)}: {what}" for path in files for what in repeated_sends(tree(path))]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    for _ in range(3):\n        rest.attempt(call)",
        "async def f():\n    while True:\n        await exchange.create_order(x)",
        "@retry(stop=1)\nasync def f():\n    await exchange.create_order(x)",
        "async def f():\n    await rest.attempt(c)\nasync def g():\n    await attempts(f, 1)",
        "class A:\n async def f(s):\n  await r.attempt(c)\n async def g(s):\n  await s.retried(s.f)",
        "async def f():\n    await retry(lambda: exchange.cancel_order(x))",
        "async def f():\n    await rest.read(requests.place(order))",
        "async def f():\n    await rest.read(cancel(order), urgent=True)",
    ],
)
def test_a_repeated_send_is_found(text: str) -> None:
    assert repeated_sends(ast.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "async def f():\n    await rest.attempt(requests.place(order))",
        "async def f():\n    await rest.read(requests.query(order))",
        "async def f():\n    await attempts(rest.ask, 1)",
        "def f():\n    for each in orders:\n        submit(each)",
    ],
)
def test_a_single_send_is_not(text: str) -> None:
    assert not repeated_sends(ast.parse(text))
