"""A journal in words: every row as one JSON object a line, or a few rows for a person to read.

Field names as in the types, decimals as strings, and times as ISO 8601 in UTC, their names ending in ``_at``
instead of ``_ns``; a time that is not set is null.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TextIO

import msgspec

from bot.model import money
from bot.model.entry import Entry
from bot.shell.rows import last_seq, read_entries
from bot.shell.terminal import plain

_DURATIONS = frozenset({"offset_ns"})
_SECOND_NS = 1_000_000_000


def export(path: Path, stream: TextIO) -> None:
    """Write every row of the journal as a JSON object a line.  Raises `JournalError`."""
    for entry in read_entries(path):
        stream.write(_object(entry))


def show(
    path: Path,
    stream: TextIO,
    *,
    last: int = 10,
    seq: tuple[int, int] | None = None,
    as_json: bool = False,
) -> None:
    """Write the last rows, or those from ``seq[0]`` to ``seq[1]``, in lines for a person, or as `export`
    does: those are read alone, whatever stands before them.  Raises `JournalError`."""
    first, end = (max(1, last_seq(path) - last + 1), None) if seq is None else seq
    for entry in read_entries(path, from_seq=first, until_seq=end):
        if as_json:
            stream.write(_object(entry))
            continue
        stream.write(f"{entry.seq}  {iso(entry.at_ns)}\n")
        for sign, items in (("  ", entry.facts), ("=>", entry.commands)):
            for item in items:
                fields = named(item)
                kind = type(item).__name__
                words = [f"{name}={_word(value)}" for name, value in fields.items() if name != "type"]
                stream.write(f"  {sign} {' '.join([kind, *words])}\n")


def iso(at_ns: int) -> str:
    """A time in nanoseconds since 1970 as ISO 8601 in UTC, to the nanosecond.  Never raises: a journal of
    before may hold a time that no calendar has."""
    seconds, rest_ns = divmod(at_ns, _SECOND_NS)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"
    except (ValueError, OverflowError, OSError):
        return "outside the years 1 to 9999"


def as_texts(item: msgspec.Struct) -> dict[str, str]:
    """A struct's fields as texts, for a line of the log.  Never raises."""
    return {name: _text(value) for name, value in named(item).items() if name != "type"}


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # a number of more than 4,300 digits
        return "a number without end"


def named(item: msgspec.Struct) -> dict[str, object]:
    """A struct as a mapping of its field names, its type first if it has a tag."""
    fields: dict[str, object] = {}
    if type(item).__struct_config__.tag is not None:
        fields["type"] = type(item).__name__
    for name in item.__struct_fields__:
        value = getattr(item, name)
        if name.endswith("_ns") and name not in _DURATIONS:
            fields[name.removesuffix("_ns") + "_at"] = _time(value)
        else:
            fields[name] = _value(value)
    return fields


def _object(entry: Entry) -> str:
    """A row as one line of JSON."""
    row = {
        "seq": entry.seq,
        "at": iso(entry.at_ns),
        "facts": [named(fact) for fact in entry.facts],
        "commands": [named(command) for command in entry.commands],
    }
    return _json(row) + "\n"


def _time(value: object) -> object:
    if isinstance(value, dict):
        return {key: _time(one) for key, one in value.items()}
    return iso(value) if isinstance(value, int) and value else None


def _value(value: object) -> object:
    match value:
        case Decimal():
            return money.text(value)
        case Enum():
            return value.value
        case msgspec.Struct():
            return named(value)
        case dict():
            return {key: _value(one) for key, one in value.items()}
        case tuple() | list():
            return [_value(one) for one in value]
        case _:
            return value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _word(value: object) -> str:
    """A value without quotes where it needs none."""
    if isinstance(value, str) and re.fullmatch(r"[^\s=\"]+", value):
        return plain(value)
    return plain(_json(value))
