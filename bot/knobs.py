"""The list of knobs: every environment variable, derived from the types that declare them.

`bot.model.config` declares what a run is configured by, once.  This module turns those declarations into
named variables with bounds and meaning, adds the few that concern this machine alone (paths and secrets,
which are never journaled), and prints ``.env.example`` from the same list.  What must stay true: a knob
is written down in one place, so that the example file, the parser, the error sentences and the journal
cannot disagree.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from bot.model.config import Config

PREFIX = "BASISBOT_"
NESTED = "__"
ACKNOWLEDGEMENT = "I trade real money and have read docs/RUNBOOK.md"
# read by the test-suite, so that a shell which has it set can also run the program
FOREIGN = frozenset({"BASISBOT_TEST_DATA"})

# of the strategy what gateways are made with, which a living run cannot take over
_RESTART = frozenset({"materiality_bps", "heartbeat_s", "clip_quote", "coin_margin", "receive_window_s"})

_ACCEPTS: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    Decimal: "a decimal number",
    str: "text",
}
_COMPACT = {
    "pairs": "pairs such as BTC=binance:spot:BTCUSDT/binance:usdm:BTCUSDT, separated by commas",
    "paper_balances": "balances such as binance:spot:USDT=100000, separated by commas",
    "paper_fees_bps": "fees such as spot=10/10 (maker/taker), separated by commas",
}


class ConfigError(Exception):
    """A refusal to start: one sentence that names the variable."""

    exit_code = 4


class Knob(Struct, frozen=True, kw_only=True):
    """One variable.  ``path`` leads to its field in `Config` and is empty for a knob of this machine alone.

    ``accepts`` completes the phrase "it takes …"; ``meaning`` says what the number does, its unit included.
    ``bounds`` holds any of ``gt``, ``ge`` and ``le``.
    """

    variable: str
    meaning: str
    accepts: str
    path: tuple[str, ...] = ()
    kind: Any = str
    bounds: dict[str, float] = {}
    pattern: str = ""
    required: bool = False
    optional: bool = False
    compact: bool = False
    secret: bool = False
    default: str = ""

    @property
    def lives(self) -> bool:
        """Whether a living run takes a change over; what else differs needs a restart."""
        match self.path:
            case ("limits" | "exit" | "budget" | "margin", _):
                return True
            case ("strategy", name):
                return name not in _RESTART
            case _:
                return False


def _of_machine(
    name: str, meaning: str, accepts: str, *, required: bool = False, secret: bool = False
) -> Knob:
    return Knob(
        variable=PREFIX + name,
        meaning=meaning,
        accepts=accepts,
        required=required,
        optional=not required,
        compact=required,
        secret=secret,
    )


MACHINE: tuple[Knob, ...] = (
    _of_machine(
        "PAIR_CAPITAL_QUOTE",
        "capital each pair may use, quote currency",
        "an amount for every pair such as BTC=50000, separated by commas",
        required=True,
    ),
    _of_machine(
        "PAPER_INSTRUMENTS", "files with the venue's description of its instruments", "paths, comma separated"
    ),
    _of_machine(
        "PAPER_FUNDING", "file with funding settlements, for recordings without them", "a path or nothing"
    ),
    _of_machine("JOURNAL", "the journal's file; empty: in the report's folder", "a path or nothing"),
    _of_machine(
        "LIVE_ACKNOWLEDGEMENT",
        f"trading with real money needs this to be: {ACKNOWLEDGEMENT}",
        "that sentence or nothing",
    ),
    _of_machine(
        "REHEARSAL_PORTS",
        "loopback ports of the rehearsal servers for spot, USD-M and COIN-M; `rehearse` sets them",
        "three port numbers such as 9000,9001,9002 or nothing",
    ),
    _of_machine("API_TOKEN", "bearer token of the local API", "text or nothing", secret=True),
    _of_machine(
        "API_TOKEN_FILE", "file that holds the token of the local API, instead of it", "a path or nothing"
    ),
    _of_machine(
        "CCXT_CREDENTIALS",
        "credentials of exchanges traded through ccxt, in its words",
        'JSON such as {"okx": {"apiKey": "…", "secret": "…", "password": "…"}} or nothing',
        secret=True,
    ),
    _of_machine(
        "CCXT_CREDENTIALS_FILE", "file that holds those credentials, instead of them", "a path or nothing"
    ),
    _of_machine("BINANCE_KEY", "API key", "text or nothing", secret=True),
    _of_machine("BINANCE_KEY_FILE", "file that holds the API key, instead of the key", "a path or nothing"),
    _of_machine("BINANCE_SECRET", "API secret", "text or nothing", secret=True),
    _of_machine("BINANCE_SECRET_FILE", "file that holds the API secret, instead of it", "a path or nothing"),
)


def knobs() -> tuple[Knob, ...]:
    """Every knob, those of `Config` first and in the order of their declaration."""
    return (*_of_struct(Config, ()), *MACHINE)


def _of_struct(struct: type[Struct], path: tuple[str, ...]) -> Iterator[Knob]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        hint = hints[field.name]
        here = (*path, field.name)
        if isinstance(hint, type) and issubclass(hint, Struct):
            yield from _of_struct(hint, here)
        else:
            yield _of_field(field, hint, here)


def _of_field(field: msgspec.structs.FieldInfo, hint: Any, path: tuple[str, ...]) -> Knob:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"the knob {'.'.join(path)} has no description")
    inner, meta = get_args(hint)[0], next(item for item in get_args(hint)[1:] if isinstance(item, Meta))
    optional = get_origin(inner) in (Union, types.UnionType) and type(None) in get_args(inner)
    kind = next(item for item in get_args(inner) if item is not type(None)) if optional else inner
    bounds = dict(meta.extra or {})
    compact = field.name in _COMPACT
    return Knob(
        variable=PREFIX + NESTED.join(path).upper(),
        meaning=meta.description or "",
        accepts=_COMPACT[field.name] if compact else _accepts(kind, bounds, meta.pattern or "", optional),
        path=path,
        kind=str if compact else kind,
        bounds=bounds,
        pattern=meta.pattern or "",
        required=field.required,
        optional=optional or (compact and not field.required),
        compact=compact,
        default="" if field.required or compact or field.default is None else str(field.default),
    )


def _accepts(kind: Any, bounds: dict[str, float], pattern: str, optional: bool) -> str:
    words = "one of " + ", ".join(get_args(kind)) if get_origin(kind) is Literal else _ACCEPTS[kind]
    if pattern:
        words += f" of the form {pattern}"
    signs = {"gt": ">", "ge": "≥", "le": "≤"}
    limits = [f"{signs[name]} {value:g}" for name, value in bounds.items()]
    if limits:
        words += " " + " and ".join(limits)
    return words + (" or nothing" if optional else "")


def render_env_example() -> str:
    """The text of ``.env.example``: every knob with meaning, unit, what it takes and its default."""
    lines = [
        "# Every setting of basisbot, printed from the declarations by `make env-example`.",
        "# Copy to .env and fill in; the environment beats --env-file, which replaces .env.",
        "# Paths are relative to the file they stand in. At SIGHUP a living run takes over what is marked",
        "# so; all else needs a restart.",
    ]
    section = None
    for knob in knobs():
        heading = knob.path[0] if len(knob.path) > 1 else "run" if knob.path else "this machine"
        if heading != section:
            section = heading
            lines += ["", f"# --- {heading} ---"]
        state = "must be set" if knob.required else f"default: {knob.default or 'empty'}"
        state += "; SIGHUP" if knob.lives else ""
        lines += [
            "",
            f"# {knob.meaning}",
            f"# takes {knob.accepts}; {state}",
            f"{knob.variable}={knob.default}",
        ]
    return "\n".join(lines) + "\n"
