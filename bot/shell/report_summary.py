"""The report in a few figures: the tiles of the page and the lines of the terminal."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from bot.model.ledger import Attribution
from bot.model.money import EXACT
from bot.shell.report_model import PairReport, Report
from bot.shell.report_text import moment

_STATES_SHOWN = 8
_REASONS_SHOWN = 4


class Tile(Struct, frozen=True):
    """One key figure; ``tone`` is ``good``, ``bad`` or empty."""

    label: str
    value: str
    note: str = ""
    tone: str = ""


def tiles(report: Report) -> tuple[Tile, ...]:
    """The figures a desk asks for first, for the page's head and for the terminal."""
    nav, parts, currency = report.nav, report.attribution, report.nav.currency
    change, share = "not known", ""
    tone = ""
    if nav.start is not None and nav.end is not None:
        gained = EXACT.subtract(Decimal(nav.end), Decimal(nav.start))
        change = shown(gained)
        tone = "good" if gained > 0 else "bad" if gained < 0 else ""
        if Decimal(nav.start) > 0:
            share = f"{float(gained) / float(nav.start) * 1e4:+.2f} bps of start, "
    costs = EXACT.add(Decimal(parts.fees), Decimal(parts.slippage))
    naked_s = max((pair.naked_s_max for pair in report.pairs), default=0.0)
    errors = [p.hedge_error_bps.p99 for p in report.pairs if p.hedge_error_bps.p99 is not None]
    hedged_s = sum(pair.hedged_s for pair in report.pairs)
    residual = parts.residual or "not known"
    return (
        Tile("change of NAV", change, f"{share}{currency}", tone),
        Tile(
            "funding", shown(Decimal(parts.funding)), f"{len(report.funding_payments)} payments, {currency}"
        ),
        Tile("basis", shown(Decimal(parts.basis)), currency),
        Tile("fees and slippage", shown(costs), f"{len(report.fills)} fills, {currency}"),
        Tile(
            "largest drawdown",
            "not known" if nav.peak_drawdown is None else shown(Decimal(nav.peak_drawdown), signed=False),
            currency,
        ),
        Tile("hedge error p99", f"{max(errors):.2f} bps" if errors else "never hedged", "time-weighted"),
        Tile("longest naked", f"{naked_s:.3f} s", "beyond one lot of the coarser leg"),
        Tile("hedged", f"{hedged_s / 3600:.2f} h", f"{sum(p.rebalances for p in report.pairs)} rebalances"),
        Tile("gaps in feeds", str(report.gaps), f"{report.frames_in:,} frames", "bad" if report.gaps else ""),
        Tile("residual", residual, "NAV not explained", "" if residual == "0" else "bad"),
    )


def shown(amount: Decimal, *, signed: bool = True) -> str:
    """An amount to four places for people; the exact one is in ``report.json``."""
    return f"{amount:{'+' if signed else ''},.4f}"


def summary_lines(report: Report) -> list[str]:
    """What the terminal says at the end of a run, a line each, without markup."""
    nav, currency = report.nav, report.nav.currency
    span = f"{moment(report.start)} to {moment(report.end)} UTC"
    counts = f"{report.frames_in:,} frames, {report.rows:,} journal rows, gaps {report.gaps}"
    lines = [f"{report.mode} run {report.run_id}: {span}, {counts}"]
    for pair in report.pairs:
        path = " → ".join(
            (_first_state(pair), *(move.after.value for move in pair.transitions[-_STATES_SHOWN:]))
        )
        error = pair.hedge_error_bps.p99
        hedge = "never hedged" if error is None else f"hedge error p99 {error:.2f} bps"
        lines.append(
            f"{pair.name}: {path}; {pair.fills} fills, {pair.rebalances} rebalances, naked at most "
            f"{pair.naked_s_max:.3f} s, {hedge}"
        )
    if report.not_trading:
        reasons = list(report.not_trading.items())[:_REASONS_SHOWN]
        lines.append(
            "not trading: " + ", ".join(f"{reason} {held_s / 3600:.2f} h" for reason, held_s in reasons)
        )
    buckets = [(name, Decimal(getattr(report.attribution, name))) for name in Attribution.__struct_fields__]
    moved = ", ".join(f"{name} {shown(amount)}" for name, amount in buckets if amount != 0) or "nothing"
    lines.append(f"funding payments {len(report.funding_payments)}; change of NAV from {moved}")
    if nav.start is None or nav.end is None:
        lines.append("NAV is not known: an account or a price is missing")
    else:
        start, end = Decimal(nav.start), Decimal(nav.end)
        lines.append(
            f"NAV {shown(start, signed=False)} → {shown(end, signed=False)} {currency} "
            f"({shown(EXACT.subtract(end, start))}), residual {report.attribution.residual}"
        )
    lines.append(f"journal {report.journal_sha256}")
    lines.append(f"state   {report.state_sha256}")
    return lines


def _first_state(pair: PairReport) -> str:
    """The state before the first transition shown, with a sign for those left out."""
    if not pair.transitions:
        return pair.state.value
    left_out = "… " if len(pair.transitions) > _STATES_SHOWN else ""
    return left_out + pair.transitions[-_STATES_SHOWN:][0].before.value
