"""The two files of a report: their bytes, their schema, and what they look like to a browser."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.model.entry import Entry
from bot.shell.journal import JournalWriter
from bot.shell.report import HTML_NAME, JSON_NAME, MACHINE, NO_PLOTLY, read_report, write_report
from bot.shell.report_charts import figures
from bot.shell.report_collect import Collection, ReportError, collect
from bot.shell.report_model import (
    Dispositions,
    FeedCounters,
    Report,
    decode_report,
    encode_report,
    inconsistencies,
    report_schema,
)
from bot.shell.report_page import flat, page
from bot.shell.report_summary import summary_lines, tiles
from bot.shell.report_text import instant
from bot.shell.rows import JournalError
from tests.conftest import ROOT
from tests.shell.report_scene import Scene, whole_story

COUNTERS = FeedCounters(
    frames_in=12,
    frames_by_stream={"usdm/btcusdt@depth@0ms": 7, "spot/btcusdt@depth": 5},
    frames_by_disposition=Dispositions(
        material=4,
        immaterial=3,
        stale=2,
        conflated=1,
        ignored={"symbol not traded": 1},
        refused={"<zero>": 1},
    ),
    gaps=0,
    clock_offset_s={"usdm": 1.27, "spot": 1.27},
    assumptions=("The rate of a settlement is the last one <known>.",),
)


def journaled(entries: list[Entry], path: Path) -> Path:
    with JournalWriter(path) as journal:
        for entry in entries:
            journal.append(entry.at_ns, entry.facts, entry.commands)
    return path


@pytest.fixture(scope="module")
def story() -> list[Entry]:
    return whole_story(hours=30, step_s=60)


@pytest.fixture(scope="module")
def collection(story: list[Entry]) -> Collection:
    return collect(story, MACHINE, COUNTERS, "a" * 64)


def test_the_same_journal_gives_the_same_bytes(story: list[Entry], tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        journal = journaled(story, tmp_path / f"{name}.journal")
        folder = tmp_path / name / "deeper"
        write_report(read_report(journal, COUNTERS), folder)
        written.append([(folder / file).read_bytes() for file in (JSON_NAME, HTML_NAME)])
    assert written[0] == written[1]
    assert str(tmp_path).encode() not in written[0][0] + written[0][1]


def test_the_journal_hash_is_the_writers(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter(path) as journal:
        for entry in whole_story(hours=1, step_s=60):
            journal.append(entry.at_ns, entry.facts, entry.commands)
        journal.flush()
        expected = journal.sha256
    assert read_report(path, COUNTERS).report.journal_sha256 == expected


def test_a_missing_journal_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no such file"):
        read_report(tmp_path / "absent", COUNTERS)


def test_report_json_reads_back_strictly(collection: Collection) -> None:
    data = encode_report(collection.report)
    assert decode_report(data) == collection.report
    assert encode_report(decode_report(data)) == data


def test_report_json_has_every_promised_key(collection: Collection) -> None:
    plain = msgspec.json.decode(encode_report(collection.report))
    assert {
        "frames_in", "frames_by_stream", "frames_by_disposition", "facts_by_origin", "gaps", "clock_offset_s",
        "journal_sha256", "state_sha256", "pairs", "fills", "funding_payments", "attribution", "nav",
        "not_trading", "assumptions", "settings_sha256", "settings", "from", "until",
    } <= set(plain)  # fmt: skip
    assert list(plain["frames_by_disposition"]) == [
        "material", "immaterial", "stale", "conflated", "ignored", "refused",
    ]  # fmt: skip
    assert list(plain["attribution"]) == [
        "funding", "basis", "fees", "slippage", "borrow", "collateral", "quote_fx", "adl", "transfers",
        "residual",
    ]  # fmt: skip
    assert set(plain["nav"]) == {"currency", "start", "end", "peak_drawdown"}
    pair = plain["pairs"][0]
    assert set(pair["transitions"][0]) == {"at", "from", "to", "why"}
    assert set(pair["hedge_error_bps"]) == {"p50", "p99"}
    assert pair["transitions"][0]["to"] == "ENTERING"
    assert plain["until"] == "2024-08-09T05:59:00.000000Z"
    assert inconsistencies(collection.report) == ()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("gaps",), "1", "Expected `int`"),
        (("gaps",), -1, "Expected `int` >= 0"),
        (("extra",), 1, "unknown field"),
        (("nav", "end"), 1.5, r"Expected `str \| null`"),
        (("nav", "end"), "1e3", "matching regex"),
        (("attribution", "fees"), None, "Expected `str`"),
        (("pairs", 0, "state"), "flat", "Invalid enum value"),
        (("pairs", 0, "transitions", 0, "at"), "2024-08-08 00:00:00", "matching regex"),
        (("journal_sha256",), "abc", "matching regex"),
        (("frames_by_disposition", "refused"), 3, "Expected `object`"),
    ],
)
def test_another_shape_is_refused(
    collection: Collection, path: tuple[Any, ...], value: object, message: str
) -> None:
    plain = msgspec.json.decode(encode_report(collection.report))
    target = plain
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(msgspec.ValidationError, match=message):
        decode_report(msgspec.json.encode(plain))


@pytest.mark.parametrize("name", msgspec.structs.fields(Report))
def test_a_missing_key_is_refused(collection: Collection, name: msgspec.structs.FieldInfo) -> None:
    plain = msgspec.json.decode(encode_report(collection.report))
    del plain[name.encode_name]
    with pytest.raises(msgspec.ValidationError, match="missing required field"):
        decode_report(msgspec.json.encode(plain))


def test_the_published_schema_is_that_of_the_types() -> None:
    assert (ROOT / "docs" / "report.schema.json").read_bytes() == report_schema()


def test_every_key_is_documented() -> None:
    text = (ROOT / "docs" / "REPORT.md").read_text("utf-8")
    documented = set(re.findall(r"`([a-z0-9_]+)(?:\[\])?`", text))
    missing = []
    for section in msgspec.json.decode(report_schema())["$defs"].values():
        missing += [name for name in section.get("properties", {}) if name not in documented]
    assert missing == []


def test_times_are_cut_never_rounded_up() -> None:
    assert instant(1_723_075_199_999_999_999) == "2024-08-07T23:59:59.999999Z"


# --- the page ----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects what a browser would load, and whether every element is closed."""

    VOID = ("meta", "link", "img", "br", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.loads += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.text += data


def read_page(collection: Collection) -> Reader:
    reader = Reader()
    reader.feed("".join(page(collection.report, collection.charts, "/* script */")))
    reader.close()
    return reader


def test_the_page_is_whole_and_loads_nothing(collection: Collection) -> None:
    reader = read_page(collection)
    assert reader.open == []
    assert reader.loads == []
    report = collection.report
    for said in ("PAPER", report.journal_sha256, report.settings_sha256, "strategy.clip_quote"):
        assert said in reader.text
    assert "The rate of a settlement is the last one <known>." in reader.text
    assert "refused: <zero>" in reader.text
    assert "its floor is 3 <b>" in reader.text
    assert reader.text.index("all pairs paused") < reader.text.index("all pairs active")
    assert "Does not add up" not in reader.text


def test_plotly_is_embedded_once_and_whole(collection: Collection, tmp_path: Path) -> None:
    offline = pytest.importorskip("plotly.offline")
    written = write_report(collection, tmp_path)
    assert written.html is not None
    text = written.html.read_text("utf-8")
    assert text.count(offline.get_plotlyjs()) == 1
    assert not list(tmp_path.glob("*.new"))


def test_plotly_accepts_every_figure_and_every_axis_has_a_title(collection: Collection) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    drawn = figures(collection.report, collection.charts)
    assert [title for title, _, _ in drawn] == [
        "Net asset value and drawdown",
        "BTC: basis and funding",
        "BTC: delta and hedge error",
        "Attribution",
        "Reasons for not trading",
    ]
    for title, note, figure in drawn:
        graph_objects.Figure(figure)  # raises for an unknown property
        assert note
        assert figure["layout"]["xaxis"]["title"]["text"] in {"UTC", "hours"}
        if title != "Reasons for not trading":
            axes = [axis for name, axis in figure["layout"].items() if name.startswith("yaxis")]
            assert all(axis["title"]["text"] for axis in axes)


def test_entries_exits_settlements_and_the_outage_are_drawn(collection: Collection) -> None:
    figure = figures(collection.report, collection.charts)[1][2]
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert len(by_name["entries"]["x"]) == 1
    assert len(by_name["further clips"]["x"]) == 2
    assert len(by_name["exits"]["x"]) == len(by_name["flat"]["x"]) == 1
    assert len(by_name["settlement"]["x"]) == len(collection.report.funding_payments) == 3
    assert None in by_name["mid to mid"]["y"]
    assert max(value for value in by_name["mid to mid"]["y"] if value is not None) > 14
    dashed = [shape["y0"] for shape in figure["layout"]["shapes"] if shape["type"] == "line"]
    assert dashed == [3.0, -2.0]
    (band,) = [shape for shape in figure["layout"]["shapes"] if shape["type"] == "rect"]
    assert (band["x0"], band["x1"]) == (
        collection.report.pairs[0].transitions[0].at,
        collection.report.pairs[0].transitions[-1].at,
    )


def test_a_position_held_to_the_end_is_shaded_to_the_end(story: list[Entry]) -> None:
    half = collect(story[: len(story) // 2], MACHINE, COUNTERS, "a" * 64)
    shapes = figures(half.report, half.charts)[1][2]["layout"]["shapes"]
    assert [shape["x1"] for shape in shapes if shape["type"] == "rect"] == [half.report.end]
    error = figures(half.report, half.charts)[2][2]["data"][1]
    assert error["y"][-1] == pytest.approx(5.0)


def test_stacks_sum_to_the_line(collection: Collection) -> None:
    data = figures(collection.report, collection.charts)[3][2]["data"]
    stacked = [sum(values) for values in zip(*(t["y"] for t in data if "stackgroup" in t), strict=True)]
    (line,) = [trace for trace in data if "stackgroup" not in trace]
    assert stacked == pytest.approx(line["y"], abs=1e-6)


def test_a_page_without_trades_has_its_charts(tmp_path: Path) -> None:
    scene = Scene()
    scene.boot()
    reader = read_page(collect(scene.entries, MACHINE, FeedCounters(), "a" * 64))
    assert reader.open == []
    assert "None." in reader.text
    assert "not known" in reader.text


def test_what_does_not_add_up_is_said_at_the_top(collection: Collection) -> None:
    report = msgspec.structs.replace(collection.report, frames_in=13)
    report = msgspec.structs.replace(
        report, attribution=msgspec.structs.replace(report.attribution, residual="0.1")
    )
    text = read_page(Collection(report, collection.charts)).text
    assert "Does not add up" in text
    assert "13 frames came in but 12 have a disposition" in text
    assert "0.1 USDT of the change of NAV are not explained" in text
    assert "attribution sums to" in text


def test_long_tables_are_cut_in_the_middle_and_say_so(collection: Collection) -> None:
    fills = tuple(
        msgspec.structs.replace(collection.report.fills[0], why=f"fill number {number}")
        for number in range(1_500)
    )
    text = read_page(
        Collection(msgspec.structs.replace(collection.report, fills=fills), collection.charts)
    ).text
    assert "The first and last 500 of 1,500" in text
    assert "fill number 499" in text
    assert "fill number 500" not in text
    assert "fill number 999" not in text
    assert "fill number 1000" in text


def test_settings_become_dotted_names() -> None:
    tree = {"a": {"b": [1, {"c": None}]}, "d": {}, "e": False}
    assert list(flat(tree)) == [("a.b[0]", "1"), ("a.b[1].c", "not set"), ("d", "not set"), ("e", "False")]


def test_without_plotly_there_is_json_and_a_sentence(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / HTML_NAME).write_text("of an earlier run")
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    written = write_report(collection, tmp_path)
    assert written.html is None
    assert written.notice == NO_PLOTLY
    assert "pip install basisbot[report]" in written.notice
    assert decode_report(written.json.read_bytes()) == collection.report
    assert not (tmp_path / HTML_NAME).exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(collection: Collection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match=r"report folder .*file.*: cannot be written"):
        write_report(collection, tmp_path / "file")


# --- the terminal ------------------------------------------------------------------------------------------


def test_the_terminal_gets_the_figures_that_matter(collection: Collection) -> None:
    text = "\n".join(summary_lines(collection.report))
    assert "FLAT → ENTERING → HEDGED" in text
    assert "9 fills, 1 rebalances, naked at most 0.100 s" in text
    assert "funding payments 3" in text
    assert "residual 0" in text
    assert collection.report.journal_sha256 in text
    assert "stale_feed" in text


def test_a_long_life_is_told_by_its_end(collection: Collection) -> None:
    pair = collection.report.pairs[0]
    many = msgspec.structs.replace(pair, transitions=pair.transitions * 3)
    lines = summary_lines(msgspec.structs.replace(collection.report, pairs=(many,)))
    assert lines[1].startswith("BTC: … ")
    assert lines[1].count("→") == 8


def test_unknown_nav_is_said_in_words() -> None:
    scene = Scene()
    scene.boot()
    report = collect(scene.entries, MACHINE, FeedCounters(), "a" * 64).report
    assert any("NAV is not known" in line for line in summary_lines(report))
    assert tiles(report)[0].value == "not known"
    assert "BTC: FLAT; 0 fills, 0 rebalances, naked at most 0.000 s, never hedged" in summary_lines(report)
