"""Our own warnings are errors; those of other packages are excused one by one."""

from __future__ import annotations

import asyncio
import tomllib
import warnings
from importlib import import_module
from importlib.util import find_spec

import pytest
from aiohttp import connector

from tests.architecture.source import CODE, ROOT, name_of, python_files

TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
FILTERS = TOOLS["pytest"]["ini_options"]["filterwarnings"]
OPTION = "enable_cleanup_closed"


def test_what_is_excused_is_named_by_category_text_and_a_module_of_another_package() -> None:
    everything, *excused = FILTERS
    assert everything == "error"
    assert excused
    for line in excused:
        action, message, category, module = line.split(":")
        assert action == "ignore"
        assert message
        assert category.endswith("Warning")
        assert module.endswith("$")
        package, *_ = module.removesuffix("$").split(r"\.")
        assert package not in {*CODE, "tests"}
        assert find_spec(module.removesuffix("$").replace(r"\.", ".")) is not None


def test_ccxt_may_set_an_option_of_aiohttp_that_a_newer_python_does_not_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connector, "NEEDS_CLEANUP_CLOSED", False)  # as from Python 3.12.8 and 3.13.1 on

    async def connect() -> None:
        exchange = import_module("ccxt.async_support").binance()
        exchange.open()
        assert exchange.session is not None
        await exchange.close()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(connect())
    assert OPTION in {str(warning.message).split()[0] for warning in caught}, "there is nothing to excuse"
    asyncio.run(connect())


def test_our_own_code_may_not() -> None:
    files = python_files(*CODE)
    assert len(files) > 100
    assert [name_of(path) for path in files if OPTION in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(
    ("text", "module"), [(f"{OPTION} ignored", "adapters.http"), ("another", "aiohttp.connector")]
)
def test_every_other_warning_is_an_error(text: str, module: str) -> None:
    with pytest.raises(DeprecationWarning, match=text):
        warnings.warn_explicit(text, DeprecationWarning, "somewhere.py", 1, module)
