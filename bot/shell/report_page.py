"""``report.html``: one file that opens anywhere, with plotly.js, styles and data inside it and no request to
anyone.

The page says nothing that ``report.json`` does not, except the series behind the charts.  Long tables are cut
in the middle and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

from bot.shell.report_charts import Figure, figures
from bot.shell.report_collect import Charts
from bot.shell.report_model import Fill, Report, inconsistencies
from bot.shell.report_summary import Tile, tiles
from bot.shell.report_text import moment

_ROWS_MAX = 1_000
_DRAW = """
for (const holder of document.querySelectorAll(".chart")) {
  const figure = JSON.parse(document.getElementById(holder.id + "-data").textContent);
  Plotly.newPlot(holder, figure.data, figure.layout, {responsive: true, displayModeBar: false});
} addEventListener("beforeprint", () => document.querySelectorAll(".chart").forEach(c =>
Plotly.Plots.resize(c)));
"""


def page(report: Report, charts: Charts, plotly_js: str) -> Iterator[str]:
    """The page in pieces, to be written one after the other: together they are large."""
    yield "<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
    yield '<meta name=viewport content="width=device-width, initial-scale=1">\n'
    yield f"<title>basisbot {escape(report.mode)} {escape(report.start[:10])}</title>\n<style>\n"
    yield files("bot.shell").joinpath("report.css").read_text("utf-8")
    yield "</style>\n<script>"
    yield plotly_js
    yield "</script>\n</head>\n<body>\n"
    yield _ribbon(report)
    yield "<main>\n"
    yield _warnings(report)
    yield _tiles(tiles(report))
    for number, (title, note, figure) in enumerate(figures(report, charts), 1):
        yield _chart(f"chart-{number}", title, note, figure)
    yield _tables(report)
    yield f"</main>\n<script>{_DRAW}</script>\n</body>\n</html>\n"


def _ribbon(report: Report) -> str:
    nav, live = report.nav, " live" if report.mode == "live" else ""
    change = (
        "not known" if nav.start is None or nav.end is None else f"{nav.start} → {nav.end} {nav.currency}"
    )
    pairs = ", ".join(f"{pair.name} {pair.state.value}" for pair in report.pairs)
    return (
        f'<header>\n<h1><span class="mode{live}">{escape(report.mode.upper())}</span>basisbot '
        f"{escape(report.version)} <span>{escape(pairs)}</span></h1>\n"
        f"<p><strong>{moment(report.start)} → {moment(report.end)} UTC</strong> · "
        f"run {escape(report.run_id)} · {report.rows:,} journal rows</p>\n"
        f"<p>NAV <strong>{escape(change)}</strong></p>\n<p>journal {report.journal_sha256}</p>\n</header>\n"
    )


def _warnings(report: Report) -> str:
    found = list(inconsistencies(report))
    if report.attribution.residual not in (None, "0"):
        found.append(
            f"{report.attribution.residual} {report.nav.currency} of the change of NAV are not explained by "
            "any posting: a fill or a payment is missing, doubled or wrong"
        )
    if not found:
        return ""
    return f"<section class=warning><h2>Does not add up</h2>{_list(found)}</section>\n"


def _tiles(shown: Sequence[Tile]) -> str:
    drawn = (
        f'<div class="tile {tile.tone}"><span>{escape(tile.label)}</span><b>{escape(tile.value)}</b>'
        f"<span>{escape(tile.note)}</span></div>"
        for tile in shown
    )
    return f"<section class=tiles>{''.join(drawn)}</section>\n"


def _chart(name: str, title: str, note: str, figure: Figure) -> str:
    data = msgspec.json.encode(figure).decode().replace("</", "<\\/")
    return (
        f"<section><h2>{escape(title)}</h2><p class=note>{escape(note)}</p>\n<div class=chart id={name} "
        f'style="height:{figure["layout"]["height"]}px"></div>\n'
        f"<script type=application/json id={name}-data>{data}</script></section>\n"
    )


def _tables(report: Report) -> str:
    return "".join(
        (
            _fills(report),
            "<div class=columns>",
            _payments(report),
            _transitions(report),
            "</div>\n<div class=columns>",
            _feeds(report),
            f"<section><h2>Assumptions</h2>{_list(report.assumptions)}</section>\n",
            "</div>\n",
            _incidents(report),
            _settings(report),
        )
    )


def _fills(report: Report) -> str:
    sizes = ("#qty", "#price", "#fee", "", "#slippage, bps")
    head = ("time, UTC", "pair", "leg", "side", *sizes, "", "purpose", "*why")
    rows = (_fill_row(fill) for fill in report.fills)
    note = "Quantities in the venue's unit; slippage against the mid at decision, positive is worse."
    return _table("Fills", note, head, rows, len(report.fills))


def _fill_row(fill: Fill) -> tuple[str, ...]:
    slippage = "" if fill.slippage_bps is None else f"{fill.slippage_bps:.2f}"
    sizes = (fill.qty, fill.price, fill.fee, fill.fee_asset, slippage)
    how = "maker" if fill.maker else "taker"
    return (moment(fill.at), fill.pair, fill.leg, fill.side, *sizes, how, fill.purpose, fill.why)


def _payments(report: Report) -> str:
    head = ("time, UTC", "pair", "#amount", "", "#rate, bps", "#mark", "#position")
    rows = (
        (moment(p.at), p.pair, p.amount, p.asset, f"{float(p.rate) * 1e4:.4f}", p.mark, p.qty)
        for p in report.funding_payments
    )
    note = "Positive amounts were received."
    return _table("Funding payments", note, head, rows, len(report.funding_payments))


def _transitions(report: Report) -> str:
    head = ("time, UTC", "pair", "from", "to", "*why")
    rows = [
        (moment(move.at), pair.name, move.before.value, move.after.value, move.why)
        for pair in report.pairs
        for move in pair.transitions
    ]
    return _table("Life of the pairs", "", head, rows, len(rows))


def _feeds(report: Report) -> str:
    dispositions = report.frames_by_disposition
    plain = ("material", "immaterial", "stale", "conflated")
    rows = [("frames in", f"{report.frames_in:,}")]
    rows.extend((name, f"{getattr(dispositions, name):,}") for name in plain)
    for name, by_reason in (("ignored", dispositions.ignored), ("refused", dispositions.refused)):
        rows.extend((f"{name}: {reason}", f"{count:,}") for reason, count in by_reason.items())
    rows.append(("gaps", f"{report.gaps:,}"))
    rows.extend((f"stream {name}", f"{count:,}") for name, count in report.frames_by_stream.items())
    rows.extend((f"clock offset {name}", f"{value:+.6f} s") for name, value in report.clock_offset_s.items())
    rows.extend((f"protocol drift {name}", f"{count:,}") for name, count in report.protocol_drift.items())
    origins = msgspec.structs.asdict(report.facts_by_origin)
    rows.extend((f"facts by {name}", f"{count:,}") for name, count in origins.items())
    return _table("Feeds", "Every frame has one disposition.", ("", "#count"), rows, len(rows))


def _incidents(report: Report) -> str:
    told = [(a.at, a.severity, a.key, a.text) for a in report.alerts]
    told += [
        (
            m.at,
            "mode",
            f"{'all pairs' if m.scope == '*' else m.scope} {m.mode.value}",
            f"{m.actor}: {m.reason}",
        )
        for m in report.mode_changes
    ]
    told.sort(key=lambda row: row[0])
    if not told:
        return ""
    rows = ((moment(at), *rest) for at, *rest in told)
    return _table("Alerts and modes", "", ("time, UTC", "kind", "what", "*why"), rows, len(told))


def _settings(report: Report) -> str:
    rows = list(flat(report.settings))
    note = f"As journaled at boot; sha256 {report.settings_sha256}. No secret is part of them."
    return _table("Settings in force", note, ("setting", "*value"), rows, len(rows))


def flat(settings: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """A tree of settings as dotted names and plain values, in its own order."""
    if isinstance(settings, dict) and settings:
        for name, value in settings.items():
            yield from flat(value, f"{path}.{name}" if path else name)
    elif isinstance(settings, list) and settings:
        for position, value in enumerate(settings):
            yield from flat(value, f"{path}[{position}]")
    elif settings is None or settings in ({}, []):
        yield path, "not set"
    else:
        yield path, str(settings)


def _table(title: str, note: str, head: Sequence[str], rows: Iterable[Sequence[str]], count: int) -> str:
    """A heading that begins with ``#`` makes its column numbers, one with ``*`` text that may wrap."""
    if count > _ROWS_MAX:
        half = _ROWS_MAX // 2
        note += f" The first and last {half} of {count:,}; all are in report.json."
        rows = [row for at, row in enumerate(rows) if at < half or at >= count - half]
    kinds = [{"#": " class=n", "*": " class=w"}.get(cell[:1], "") for cell in head]
    top = _row("th", kinds, [cell.lstrip("#*") for cell in head])
    body = "".join(_row("td", kinds, row) for row in rows)
    shown = f"<div class=scroll><table><thead>{top}</thead><tbody>\n{body}</tbody></table></div>"
    return (
        f"<section class=long><h2>{escape(title)}</h2><p class=note>{escape(note.strip())}</p>"
        f"{shown if count else '<p class=note>None.</p>'}</section>\n"
    )


def _row(tag: str, kinds: Sequence[str], cells: Sequence[str]) -> str:
    drawn = (f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
    return f"<tr>{''.join(drawn)}</tr>\n"


def _list(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else "<p class=note>None.</p>"
