"""Journals in words: field names, decimals as strings, times in ISO 8601."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.model.commands import NoteIdle
from bot.model.facts import Throttled, Tick
from bot.model.ids import AccountId, PairName
from bot.shell.export import as_texts, export, iso, named, show
from bot.shell.journal import JournalWriter
from bot.shell.rows import JournalError
from tests.instruments import instrument
from tests.shell.samples import PERP, SPOT, START, book, boot, mark, place


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        journal.append(START, (boot(),), ())
        journal.append(START + 1, (book(START + 1), mark(START + 1)), (place(),))
        journal.append(START + 2, (Tick({SPOT: START}, {AccountId("binance:spot"): 5}),), ())
        idle = NoteIdle(PairName("BTC"), "no_gap", "-3.5 bps", "")
        journal.append(START + 3, (mark(START + 3, index=None),), (idle,))
    return path


def test_every_row_is_one_json_line_with_names(stored: Path) -> None:
    out = io.StringIO()
    export(stored, out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert rows[0]["facts"][0]["config"]["limits"]["order_notional_max_quote"] == "1000000"
    assert rows[0]["facts"][0]["from_at"] is None
    assert rows[1]["at"] == "2024-08-08T21:00:00.250000001Z"
    assert rows[1]["facts"][0] == {
        "type": "BookSeen",
        "instrument": SPOT,
        "bids": [[60000.0, 1.0]],
        "asks": [[60001.0, 2.0]],
        "venue_at": "2024-08-08T21:00:00.249000001Z",
        "seen_at": "2024-08-08T21:00:00.250000001Z",
    }
    assert rows[1]["facts"][1]["mark"] == "60000"
    (order,) = rows[1]["commands"]
    assert (order["qty"], order["side"], order["tif"], order["purpose"]) == ("0.01", "buy", "IOC", "enter")
    assert order["why"] == {"type": "DriftBand", "delta_base": 1.0, "band_base": 0.5, "error_bps": 2.0}
    assert rows[2]["facts"][0] == {
        "type": "Tick",
        "seen_at": {SPOT: "2024-08-08T21:00:00.250000000Z"},
        "offset_ns": {"binance:spot": 5},
    }
    assert rows[3]["facts"][0]["index"] is None


def test_a_person_sees_the_last_rows_or_those_asked_for(stored: Path) -> None:
    out = io.StringIO()
    show(stored, out, last=1)
    assert out.getvalue() == (
        "4  2024-08-08T21:00:00.250000003Z\n"
        f"     MarkSeen instrument={PERP} mark=60000 index=null venue_at=2024-08-08T21:00:00.250000003Z"
        " seen_at=2024-08-08T21:00:00.250000003Z\n"
        '  => NoteIdle pair=BTC reason=no_gap value="-3.5 bps" limit=""\n'
    )
    out = io.StringIO()
    show(stored, out, seq=(2, 3))
    assert [line.split()[0] for line in out.getvalue().splitlines() if line[0].isdigit()] == ["2", "3"]


def numbers(path: Path, **asked: Any) -> list[int]:
    out = io.StringIO()
    show(path, out, as_json=True, **asked)
    return [json.loads(line)["seq"] for line in out.getvalue().splitlines()]


def test_rows_that_nobody_asked_for_are_not_read(stored: Path) -> None:
    with closing(sqlite3.connect(stored)) as db, db:
        db.execute("UPDATE entries SET facts = ? WHERE seq = 1", (b"not a row",))
    assert numbers(stored, last=2) == [3, 4]
    assert numbers(stored, seq=(3, 3)) == [3]
    for asked in ({"last": 4}, {"seq": (1, 2)}):
        with pytest.raises(JournalError, match="row 1 was changed"):
            numbers(stored, **asked)
    with closing(sqlite3.connect(stored)) as db, db:
        db.execute("UPDATE entries SET commands = ? WHERE seq = 4", (b"[]",))
    with pytest.raises(JournalError, match="row 4 was changed"):
        numbers(stored, last=1)


def test_rows_beyond_the_end_are_none_and_more_than_there_are_is_all(stored: Path) -> None:
    assert numbers(stored, seq=(9, 12)) == []
    assert numbers(stored, seq=(4, 12)) == [4]
    assert numbers(stored, last=100) == [1, 2, 3, 4]


def test_what_a_terminal_would_obey_is_shown_and_json_stays(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    with JournalWriter(path) as journal:
        for reason in ("ev\x1b[31mil", "two\nlines \x1b[2J \u202e"):
            journal.append(START, (), (NoteIdle(PairName("BTC"), reason),))
    out, exported = io.StringIO(), io.StringIO()
    show(path, out)
    export(path, exported)
    assert "reason=ev\\x1b[31mil " in out.getvalue()
    assert out.getvalue().count("\n") == 4
    assert not {"\x1b", "\u202e"} & set(out.getvalue())
    rows = [json.loads(line) for line in exported.getvalue().splitlines()]
    assert rows[1]["commands"][0]["reason"] == "two\nlines \x1b[2J \u202e"


def test_times_have_nanoseconds_and_untagged_structs_have_no_type() -> None:
    assert iso(1_500_000_000_000_000_001) == "2017-07-14T02:40:00.000000001Z"
    fields = named(instrument(PERP))
    assert "type" not in fields
    assert (fields["kind"], fields["tick"], fields["expiry_at"]) == ("perp", "0.1", None)
    assert PERP in fields.values()


@pytest.mark.parametrize(
    "until_ns",
    [999_999_999_999 * 10**9, -(10**30), 10**5000],
    ids=["a ban of 12 digits", "before", "5000 digits"],
)
def test_a_time_that_no_calendar_has_ends_no_line(until_ns: int) -> None:
    texts = as_texts(Throttled(AccountId("binance:usdm"), until_ns, "-1003", "banned"))
    assert texts["until_at"] == "outside the years 1 to 9999"


def test_a_number_that_python_refuses_to_print_ends_no_line() -> None:
    assert as_texts(Tick({SPOT: START}, {AccountId("a:b"): 10**5000}))["offset_ns"] == "a number without end"
