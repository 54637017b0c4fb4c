"""The report's charts as plotly figures: plain dictionaries of ``data`` and ``layout``, drawn by plotly.js.

Built as plain data and not through plotly's classes, whose import costs more time and memory than everything
else in a report.  Every axis carries its unit, all time axes span the whole run so that charts line up, and a
line breaks where its feed was silent instead of bridging what nobody saw.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from bot.model.ids import InstrumentId, PairName, symbol_of
from bot.model.ledger import Attribution
from bot.model.pair import PairState
from bot.shell.report_collect import Charts
from bot.shell.report_model import PairReport, Report
from bot.shell.report_pairs import PairTally
from bot.shell.report_series import Point, Trace

Figure = dict[str, Any]

_NS_PER_MS = 1_000_000
_SILENCE_NS = 30_000_000_000  # three heartbeats of a book
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"
_INK, _MUTED, _GRID, _SHADE = "#1f2933", "#7b8794", "#e4e7eb", "rgba(47,93,138,0.07)"
_BLUE, _RED, _GREEN, _AMBER = "#2f5d8a", "#b5483a", "#3c7d5a", "#b8862b"
_BUCKET_COLOURS = {
    "funding": "#3c7d5a",
    "basis": "#2f5d8a",
    "fees": "#b5483a",
    "slippage": "#b8862b",
    "borrow": "#7a5195",
    "collateral": "#5f9ea0",
    "quote_fx": "#8d99ae",
    "adl": "#5c3c3c",
    "transfers": "#a3a380",
}
_BASIS_NOTE = "Funding per interval. Shaded while a position is held."
_DELTA_NOTE = (
    "Delta: change of equity in quote for a price move of one. "
    "Hedge error: delta over the larger leg, while HEDGED."
)
_MARKS = {
    (PairState.FLAT, PairState.ENTERING): ("entries", "triangle-up", _GREEN),
    (PairState.HEDGED, PairState.ENTERING): ("further clips", "triangle-up-open", _GREEN),
    (PairState.HEDGED, PairState.EXITING): ("exits", "triangle-down", _RED),
    (PairState.EXITING, PairState.FLAT): ("flat", "square-open", _INK),
}


def figures(report: Report, charts: Charts) -> list[tuple[str, str, Figure]]:
    """Title, note and figure of each chart, in the order of the page."""
    currency = report.nav.currency
    note = f"In {currency}, positions at marks."
    drawn = [("Net asset value and drawdown", note, nav_figure(report, charts))]
    for pair in report.pairs:
        tally = charts.pairs[PairName(pair.name)]
        legs = f"{pair.short} over {pair.long}"
        note = f"{legs}; entering: short bid over long ask, leaving: short ask over long bid. {_BASIS_NOTE}"
        if _thresholds(report):
            note += " Dashed: the gaps at which the settings enter and leave."
        drawn.append((f"{pair.name}: basis and funding", note, basis_figure(report, pair, tally)))
        drawn.append((f"{pair.name}: delta and hedge error", _DELTA_NOTE, delta_figure(report, pair, tally)))
    note = f"Cumulative, in {currency}, each from its own source; the line is their sum."
    drawn.append(("Attribution", note, attribution_figure(report, charts)))
    if report.not_trading:
        note = "Hours for which each reason stood, summed over pairs."
        drawn.append(("Reasons for not trading", note, idle_figure(report)))
    return drawn


def nav_figure(report: Report, charts: Charts) -> Figure:
    currency = report.nav.currency
    return {
        "data": [
            _line("NAV", charts.nav.points(), _BLUE, "y"),
            _line("drawdown", charts.drawdown.points(), _RED, "y2") | {"fill": "tozeroy"},
        ],
        "layout": _stacked(report, f"NAV, {currency}", f"drawdown, {currency}"),
    }


def basis_figure(report: Report, pair: PairReport, tally: PairTally) -> Figure:
    data = [
        _line("entering a clip", _broken(tally.basis_entry), _GREEN, "y") | {"opacity": 0.55},
        _line("leaving a clip", _broken(tally.basis_exit), _RED, "y") | {"opacity": 0.55},
        _line("mid to mid", _broken(tally.basis_mid), _INK, "y"),
        *_move_marks(tally),
    ]
    for instrument, trace in tally.funding_bps.items():
        data.append(
            _line(f"funding estimate {symbol_of(InstrumentId(instrument))}", _broken(trace), _BLUE, "y2")
            | {"line": _step(_BLUE)}
        )
    paid = [payment for payment in report.funding_payments if payment.pair == pair.name]
    if paid:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "settlement",
                "x": [payment.at for payment in paid],
                "y": [float(payment.rate) * 1e4 for payment in paid],
                "text": [f"{payment.amount} {payment.asset}" for payment in paid],
                "hovertemplate": "%{y:.3f} bps, %{text}",
                "marker": {"symbol": "diamond", "size": 8, "color": _AMBER},
                "yaxis": "y2",
            }
        )
    layout = _stacked(report, "basis, bps", "funding, bps")
    if not paid and not tally.funding_bps:  # a recording without funding has one panel
        del layout["yaxis2"]
        layout["yaxis"]["domain"], layout["xaxis"]["anchor"] = [0.0, 1.0], "y"
    layout["shapes"] = [*_held(report, pair), *_thresholds(report)]
    return {"data": data, "layout": layout}


def delta_figure(report: Report, pair: PairReport, tally: PairTally) -> Figure:
    layout = _stacked(report, "delta, base currency", "hedge error, bps")
    layout["shapes"] = _held(report, pair)
    return {
        "data": [
            _line("delta of the pair", tally.delta_base.points(), _BLUE, "y") | {"line": _step(_BLUE)},
            _line("hedge error", _while_hedged(tally), _AMBER, "y2") | {"line": _step(_AMBER)},
        ],
        "layout": layout,
    }


def attribution_figure(report: Report, charts: Charts) -> Figure:
    """Gains are stacked above zero and losses below it, so that a bucket that changes sign stays readable."""
    rows = charts.attribution.rows()
    at = [row[0] // _NS_PER_MS for row in rows]
    data: list[Figure] = []
    for position, name in enumerate(Attribution.__struct_fields__):
        values = [row[1][position] for row in rows]
        if not any(values):
            continue
        shown = True
        for side, part in (("gain", [max(v, 0.0) for v in values]), ("loss", [min(v, 0.0) for v in values])):
            if not any(part):
                continue
            data.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": shown,
                    "stackgroup": side,
                    "x": at,
                    "y": _short(part),
                    "line": {"width": 0, "color": _BUCKET_COLOURS[name]},
                    "hovertemplate": "%{y:.4f}",
                }
            )
            shown = False
    total = [(row[0], sum(row[1])) for row in rows]
    data.append(_line("sum", total, _INK, "y"))
    layout = _layout(report, 380)
    layout["yaxis"] |= {"title": {"text": f"change of NAV, {report.nav.currency}"}}
    return {"data": data, "layout": layout}


def idle_figure(report: Report) -> Figure:
    reasons = sorted(report.not_trading, key=lambda reason: report.not_trading[reason])
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": pair.name,
            "y": reasons,
            "x": _short([pair.not_trading.get(reason, 0.0) / 3600.0 for reason in reasons]),
            "hovertemplate": "%{y}: %{x:.3f} h",
            "marker": {"color": colour},
        }
        for pair, colour in zip(report.pairs, _cycle(len(report.pairs)), strict=True)
    ]
    layout = _layout(report, 110 + 26 * len(reasons))
    layout["xaxis"] = {
        "title": {"text": "hours"},
        "gridcolor": _GRID,
        "rangemode": "tozero",
        "automargin": True,
    }
    layout["yaxis"] = {"automargin": True, "type": "category", "ticksuffix": " "}
    layout |= {"barmode": "stack", "hovermode": "closest", "showlegend": len(data) > 1, "bargap": 0.35}
    return {"data": data, "layout": layout}


def _line(name: str, points: list[Point] | list[tuple[int, float | None]], colour: str, axis: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [point[0] // _NS_PER_MS for point in points],
        "y": _short([point[1] for point in points]),
        "line": {"width": 1.3, "color": colour},
        "yaxis": axis,
        "connectgaps": False,
    }


def _step(colour: str) -> Figure:
    return {"width": 1.3, "color": colour, "shape": "hv"}


def _short(values: list[Any]) -> list[float | None]:
    """Nine significant digits: what a screen can show, in half the bytes."""
    return [None if value is None else float(f"{value:.9g}") for value in values]


def _broken(trace: Trace) -> list[tuple[int, float | None]]:
    """A trace's points with an empty one wherever the feed was silent."""
    silence_ns = max(_SILENCE_NS, 3 * trace.width_ns)
    drawn: list[tuple[int, float | None]] = []
    before_ns: int | None = None
    for at_ns, value in trace.points():
        if before_ns is not None and at_ns - before_ns > silence_ns:
            drawn.append((before_ns + 1, None))
        drawn.append((at_ns, value))
        before_ns = at_ns
    return drawn


def _while_hedged(tally: PairTally) -> list[tuple[int, float | None]]:
    """Hedge error with a break at each end of HEDGED: a pair on its way in or out has none."""
    ends: list[tuple[int, float | None]] = [
        (move.at_ns + 1, None) for move in tally.moves if move.before is PairState.HEDGED
    ]
    return sorted([*tally.error_bps.points(), *ends], key=lambda point: point[0])


def _move_marks(tally: PairTally) -> list[Figure]:
    """Entries and exits, drawn on the basis line; none where no basis was ever seen."""
    points = tally.basis_mid.points()
    marks: list[Figure] = []
    for step, (name, symbol, colour) in _MARKS.items():
        moves = [move for move in tally.moves if (move.before, move.after) == step]
        if not moves or not points:
            continue
        marks.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [move.at_ns // _NS_PER_MS for move in moves],
                "y": _short([_height(points, move.at_ns) for move in moves]),
                "text": [move.why for move in moves],
                "hovertemplate": "%{text}",
                "marker": {
                    "symbol": symbol,
                    "size": 10,
                    "color": colour,
                    "line": {"width": 1.5, "color": colour},
                },
                "yaxis": "y",
            }
        )
    return marks


def _height(points: list[Point], at_ns: int) -> float:
    """The last value seen at ``at_ns``; before all of them, the first."""
    position = bisect_right(points, at_ns, key=lambda point: point[0])
    return points[max(position - 1, 0)][1]


def _held(report: Report, pair: PairReport) -> list[Figure]:
    """A band for each time in which the pair was not FLAT."""
    bands: list[Figure] = []
    since: str | None = None
    for move in pair.transitions:
        if since is None and move.before is PairState.FLAT:
            since = move.at
        if since is not None and move.after is PairState.FLAT:
            bands.append(_band(since, move.at))
            since = None
    if since is not None:
        bands.append(_band(since, report.end))
    return bands


def _band(start: str, end: str) -> Figure:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": start,
        "x1": end,
        "y0": 0,
        "y1": 1,
        "fillcolor": _SHADE,
        "line": {"width": 0},
        "layer": "below",
    }


def _thresholds(report: Report) -> list[Figure]:
    """The gaps at which the settings enter and leave, as dashed lines."""
    strategy = report.settings["strategy"]
    return [
        {
            "type": "line",
            "xref": "paper",
            "yref": "y",
            "x0": 0,
            "x1": 1,
            "y0": strategy[name],
            "y1": strategy[name],
            "line": {"width": 1, "dash": "dash", "color": colour},
        }
        for name, colour in (("entry_gap_bps", _GREEN), ("exit_gap_bps", _RED))
        if strategy[name] is not None
    ]


def _layout(report: Report, height_px: int) -> Figure:
    return {
        "height": height_px,
        "margin": {"l": 64, "r": 12, "t": 8, "b": 40},
        "font": {"family": _FONT, "size": 12, "color": _INK},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hovermode": "x unified",
        "hoverlabel": {"font": {"size": 11}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 11}},
        "xaxis": {
            "type": "date",
            "range": [report.start, report.end],
            "gridcolor": _GRID,
            "showline": True,
            "linecolor": _MUTED,
            "ticks": "outside",
            "tickcolor": _MUTED,
            "title": {"text": "UTC", "standoff": 10},
            "automargin": True,
        },
        "yaxis": _y_axis(""),
    }


def _stacked(report: Report, upper: str, lower: str) -> Figure:
    """Two panels over one time axis, the upper one twice as high."""
    layout = _layout(report, 440)
    layout["xaxis"] |= {"anchor": "y2"}
    layout["yaxis"] = _y_axis(upper) | {"domain": [0.38, 1.0]}
    layout["yaxis2"] = _y_axis(lower) | {"domain": [0.0, 0.31], "anchor": "x"}
    return layout


def _y_axis(title: str) -> Figure:
    return {
        "title": {"text": title, "standoff": 6},
        "gridcolor": _GRID,
        "zerolinecolor": _MUTED,
        "automargin": True,
        "tickformat": "~f",
        "exponentformat": "none",
    }


def _cycle(count: int) -> list[str]:
    palette = list(_BUCKET_COLOURS.values())[1:]
    return [palette[index % len(palette)] for index in range(count)]
