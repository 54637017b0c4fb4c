"""Every row of ccxt's ``exceptions`` for the exchanges that may trade, and what it means for an order.

An answer that bears the row's code is put through the class's own ``handle_errors`` and then through our
`verdict`, as a send would be.  ``codes/NAME.txt`` holds what was read and found right, a line a row: verdict,
ccxt's class, code.  A new ccxt whose rows differ fails the test until somebody has read the new ones:

python -m tests.adapters.ccxt.rows        writes the files anew; read the difference before committing it
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters.ccxt.exchange import BY_CLIENT_ID, library
from adapters.ccxt.outcomes import Attempt, Verdict, verdict

ASKING: Any = importlib.import_module("ccxt.async_support")
FOLDER = Path(__file__).parent / "codes"
STATUS = 400
BINANCE = ("binance", "binanceusdm", "binancecoinm", "binanceus")
HOSTS = {"spot": "https://api.binance.com/api/v3", "linear": "https://fapi.binance.com/fapi/v1"} | {
    "inverse": "https://dapi.binance.com/dapi/v1"
}
GROUPS = ("exact", "broad")


class Row(Struct, frozen=True):
    """``words``: the venue's text, as ccxt quotes it beside the row; empty where it quotes none."""

    exchange: str
    code: str
    kind: str
    verdict: Verdict
    words: str

    @property
    def line(self) -> str:
        return f"{self.verdict.value} {self.kind} {self.code}"


def names() -> list[str]:
    """Of Binance's classes, which share their rows, the first one stands for all."""
    return sorted(BY_CLIENT_ID - set(BINANCE[1:]))


def rows(name: str) -> list[Row]:
    exchange, words = getattr(ASKING, name)(), _words(name)
    found: dict[tuple[str, str], Row] = {}
    for url, code in _codes(exchange):
        error = _raised(exchange, url, _body(name, code))
        attempt = Attempt(left=True, status=STATUS, body=_body(name, code))
        row = Row(name, code, type(error).__name__, verdict(error, attempt, name), words.get(code, ""))
        found[row.kind, code] = row
    return sorted(found.values(), key=lambda row: (row.code, row.kind))


def _codes(exchange: Any) -> Iterator[tuple[str, str]]:
    tables: Mapping[str, Any] = exchange.exceptions
    for group in GROUPS:
        for code in tables.get(group, {}):
            yield "https://host/order", code
    for market, host in HOSTS.items() if exchange.id in BINANCE else ():
        for group in GROUPS:
            for code in tables[market].get(group, {}):
                yield f"{host}/order", code


def _body(name: str, code: str) -> str:
    """An answer as the venue writes it: a code is its code, a text its text."""
    is_code = re.fullmatch(r"-?\d+", code) is not None
    match name:
        case "okx":
            row = {"sCode": code, "sMsg": ""} if is_code else {"sCode": "1", "sMsg": code}
            answer: dict[str, Any] = {"code": "1", "data": [row], "msg": ""}
        case "paradex":
            answer = {"error": code, "message": ""}
        case "woofipro":
            answer = {
                "success": False,
                "code": int(code) if is_code else -1,
                "message": "" if is_code else code,
            }
        case "phemex":
            answer = {"code": int(code) if is_code else 1, "msg": "" if is_code else code, "data": None}
        case "kucoin" | "bitget":
            answer = {"code": code, "msg": ""} if is_code else {"code": "1", "msg": code}
        case _:
            answer = {"code": int(code), "msg": ""} if is_code else {"code": -9, "msg": code}
    return json.dumps(answer)


def _raised(exchange: Any, url: str, body: str) -> Exception:
    try:
        exchange.handle_errors(STATUS, "Bad Request", url, "POST", {}, body, json.loads(body), {}, None)
        exchange.handle_http_status_code(STATUS, "Bad Request", url, "POST", body)
    except library().BaseError as error:
        return error  # type: ignore[no-any-return]
    raise AssertionError(f"{exchange.id} takes {body} for a good answer")


def _words(name: str) -> dict[str, str]:
    """What stands behind a row in ccxt's source."""
    module = inspect.getmodule(getattr(ASKING, name))
    assert module is not None
    found = re.finditer(r"^\s*'([^'\n]+)': *[A-Z]\w+, *# *(.*)$", inspect.getsource(module), re.MULTILINE)
    return {match[1]: match[2] for match in found}


def text(name: str) -> str:
    return "".join(f"{row.line}\n" for row in rows(name))


if __name__ == "__main__":
    for each in names():
        (FOLDER / f"{each}.txt").write_text(text(each))
