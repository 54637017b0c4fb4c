"""A run's report: ``report.json``, a documented interface, and ``report.html``, a page for people.

Both are made from the journal, refolded once from its first row, and from the feeds' counters; nothing that
a run keeps in memory is asked.  So a report can be made again from a journal at any time and has the same
bytes. plotly is an extra: without it there is a ``report.json`` and a sentence that says what to install.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

from msgspec import Struct

from bot.core.fold import refold
from bot.core.views import nav
from bot.model.money import exact_arithmetic
from bot.model.store import Pair, Store
from bot.shell.report_collect import Collection, Collector, Machine, ReportError
from bot.shell.report_model import FeedCounters, encode_report
from bot.shell.report_page import page
from bot.shell.rows import decode_row, framed, read_rows
from risk import exposure

JSON_NAME, HTML_NAME = "report.json", "report.html"
NO_PLOTLY = f"{HTML_NAME} was not written because plotly is missing: pip install basisbot[report]"


class Written(Struct, frozen=True):
    """Where a report is; ``html`` is ``None``, and ``notice`` says why, where plotly is not installed."""

    json: Path
    html: Path | None
    notice: str = ""


def leg_deltas_base(store: Store, pair: Pair) -> tuple[Decimal, Decimal]:
    with exact_arithmetic():
        return exposure.leg_deltas_base(store, pair)


MACHINE = Machine(refold, nav, leg_deltas_base)


def read_report(journal: Path, counters: FeedCounters) -> Collection:
    """Refold a journal, its chain checked, into a report and the series of its charts.

    Raises `JournalError` naming the row that is missing or was changed, and `ReportError` for a journal
    without a boot row.
    """
    collector, sha = Collector(MACHINE), hashlib.sha256()
    for row in read_rows(journal):
        sha.update(framed(row))
        collector.take(decode_row(journal, row))
    return collector.finish(counters, sha.hexdigest())


def write_report(collection: Collection, folder: Path) -> Written:
    """Write both files into ``folder``, made where it is absent; each is replaced as a whole or not at all.

    Raises `ReportError` where the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        json = _replace(folder / JSON_NAME, (encode_report(collection.report),))
        script = _plotly_js()
        if script is None:
            (folder / HTML_NAME).unlink(missing_ok=True)
            return Written(json, None, NO_PLOTLY)
        pieces = page(collection.report, collection.charts, script)
        return Written(json, _replace(folder / HTML_NAME, (piece.encode() for piece in pieces)))
    except OSError as failure:
        raise ReportError(f"report folder {folder}: cannot be written: {failure.strerror}") from failure


def _plotly_js() -> str | None:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return None
    script: str = get_plotlyjs()
    return script


def _replace(path: Path, pieces: Iterable[bytes]) -> Path:
    """Write beside and rename, so that a reader never sees half a report."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as out:
        out.writelines(pieces)
    return beside.replace(path)
