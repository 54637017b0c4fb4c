"""Every module can be imported, on each Python that is supported, and warns of nothing."""

from __future__ import annotations

import importlib

import pytest

from tests.architecture.source import CODE, name_of, python_files

MODULES = [
    name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for path in python_files(*CODE)
]


def test_they_are_all_there() -> None:
    assert {"bot.__main__", "bot.core.step", "adapters.ccxt.exchange", "risk.guard"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_it_can_be_imported(module: str) -> None:
    importlib.import_module(module)
