"""Every knob, declared once: name, unit, default, meaning.

`bot.settings` derives the environment variables from these types (``BASISBOT_`` + path, nested by ``__``),
``.env.example`` is printed from them, `Booted` journals them whole, and pure code reads them from the store.
No secret and no path belongs here: those are of the shell.  A field without default must be set.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bot.model.pair import PairSpec


def knob(description: str, **bounds: float) -> Meta:
    """A knob's meaning, unit included, and its bounds (``ge``, ``gt``, ``le``), which `bot.settings`
    enforces."""
    return Meta(description=description, extra=bounds)


class Strategy(Struct, frozen=True, kw_only=True):
    """When to enter, how to hold, when to leave."""

    leg_policy: Annotated[
        Literal["together", "sequenced"],
        knob("together: both takers at once; sequenced: the short leg first, the long leg follows its fills"),
    ] = "together"
    entry_carry_apr: Annotated[
        float | None,
        knob(
            "settled: enter when the switch says so and its forecast is at least this fraction a year; "
            "estimate, last: when net annualised carry is; empty: no entry by carry"
        ),
    ] = None
    exit_carry_apr: Annotated[
        float,
        knob(
            "leave when the carry still expected, entry costs being sunk, is below this fraction a year; "
            "not read under settled"
        ),
    ] = 0.0
    entry_gap_bps: Annotated[
        float | None, knob("enter when short bid over long ask, for a clip, is at least this; empty: off")
    ] = None
    exit_gap_bps: Annotated[
        float | None, knob("leave when short ask over long bid, for a clip, is at most this; empty: off")
    ] = None
    expected_funding: Annotated[
        Literal["settled", "estimate", "last"],
        knob(
            "what decides on carry: a switch with the cost of a round trip on a forecast from settled rates; "
            "or the running estimate or the last rate, as if it went on"
        ),
    ] = "settled"
    hurdle_apr: Annotated[
        float, knob("what the capital would earn elsewhere, fraction a year, under settled", ge=0)
    ] = 0.04
    hold_planned_h: Annotated[
        float, knob("hours over which round-trip costs are amortised; not read under settled", gt=0)
    ] = 168.0
    hold_min_s: Annotated[
        float | None,
        knob(
            "seconds a position is held before a carry or gap exit; empty: a day for carry, none for gap",
            ge=0,
        ),
    ] = None
    hold_max_s: Annotated[float, knob("seconds after which a position is left; 0: no limit", ge=0)] = 0.0
    no_entry_before_expiry_h: Annotated[
        float, knob("hours before the known end of a leg in which nothing is entered", ge=0)
    ] = 72.0
    leave_before_end_h: Annotated[
        float,
        knob("hours before the known end of a leg at which the pair is left; 0: held to the end", ge=0),
    ] = 24.0
    borrow_apr: Annotated[float, knob("cost of the capital in the long leg, fraction a year", ge=0)] = 0.0
    clip_quote: Annotated[Decimal, knob("size of one slice of an entry or exit, quote currency", gt=0)]
    clip_interval_s: Annotated[float, knob("seconds between two clips of a pair", ge=0)] = 1.0
    slippage_bps: Annotated[
        float, knob("how far beyond the walked ladder a taker's limit may lie, basis points", ge=0)
    ] = 2.0
    patience_s: Annotated[float, knob("seconds a pair may be naked beyond one lot before repair", gt=0)] = 2.0
    repair_attempts: Annotated[
        int, knob("orders that try to complete a missing leg before it is unwound", ge=0)
    ] = 3
    drift_band_bps: Annotated[float, knob("hedge error that is left alone, basis points of a leg", ge=0)] = (
        5.0
    )
    drift_band_lots: Annotated[
        float, knob("hedge error that is left alone, lots of the coarser leg", ge=0)
    ] = 1.0
    coin_margin: Annotated[
        Literal["baseline", "spot_leg"],
        knob("margin of an inverse leg: coins that were there before, or the pair's own spot leg"),
    ] = "baseline"
    materiality_bps: Annotated[
        float, knob("a book is a fact when the executable price of a clip moved by this, basis points", ge=0)
    ] = 0.5
    heartbeat_s: Annotated[
        float, knob("a book is a fact at least this often while frames arrive, seconds", gt=0)
    ] = 10.0
    reask_s: Annotated[float, knob("seconds after which a live order's state is asked again", gt=0)] = 10.0
    receive_window_s: Annotated[
        float, knob("seconds after sending in which a venue may still accept an order", gt=0)
    ] = 5.0
    reconcile_s: Annotated[float, knob("seconds between two comparisons with the venue's account", gt=0)] = (
        300.0
    )
    dust_max_quote: Annotated[
        Decimal, knob("coins that no order can sell and worth at most this are dust, quote currency", ge=0)
    ] = Decimal(25)
    leg_skew_max_s: Annotated[
        float, knob("how much later one leg's books may arrive than the other's to open, seconds", gt=0)
    ] = 1.0
    settled_rate_max_intervals: Annotated[
        float, knob("age of a settled rate beyond which no carry is opened on it, funding intervals", gt=1)
    ] = 3.0


class Limits(Struct, frozen=True, kw_only=True):
    """What no admitted order may exceed, worst case, every live and uncertain order counted as filled."""

    order_notional_max_quote: Annotated[Decimal, knob("one order's notional, quote currency", gt=0)]
    order_qty_max_base: Annotated[
        Decimal | None, knob("one order's size, base currency; empty: the venue's")
    ] = None
    pair_notional_max_quote: Annotated[Decimal, knob("one leg of a pair, quote currency", gt=0)]
    venue_notional_max_quote: Annotated[Decimal, knob("all legs on one venue, quote currency", gt=0)]
    gross_notional_max_quote: Annotated[Decimal, knob("all legs of all pairs, quote currency", gt=0)]
    net_delta_max_quote: Annotated[
        Decimal,
        knob("unhedged delta of the book, in-flight legs of a group taken together, quote currency", gt=0),
    ]
    naked_max_quote: Annotated[
        Decimal, knob("delta of a pair if only one leg of a group fills, quote currency", gt=0)
    ]
    leverage_max: Annotated[float, knob("notional of a margin account over its equity", gt=0)] = 3.0
    margin_ratio_min: Annotated[
        float, knob("equity over maintenance margin of a margin account, after the order", ge=1)
    ] = 3.0
    liquidation_distance_min: Annotated[
        float, knob("distance of mark to liquidation, fraction of mark, after the order", ge=0, le=1)
    ] = 0.15
    collar_bps: Annotated[float, knob("distance of an order's price from the index, basis points", gt=0)] = (
        100.0
    )
    feed_age_max_s: Annotated[
        float, knob("age of a leg's feed beyond which nothing is opened, seconds", gt=0)
    ] = 5.0
    clock_offset_max_ms: Annotated[float, knob("clock offset left after correction, milliseconds", gt=0)] = (
        500.0
    )
    opening_orders_per_min: Annotated[int, knob("orders that open, a minute, all pairs", gt=0)] = 60


class Exit(Struct, frozen=True, kw_only=True):
    """What an exit may take upon itself that an entry may not."""

    feed_age_max_s: Annotated[
        float, knob("age of a leg's book beyond which nothing is closed by it, seconds", gt=0)
    ] = 30.0
    collar_max_bps: Annotated[
        float,
        knob("where a forced exit's collar ends, which doubles every 5 s without a fill, basis points", gt=0),
    ] = 500.0


class Margin(Struct, frozen=True, kw_only=True):
    """Where margin binds before its limits latch, and where positions are given back after they did."""

    opening_ratio_min: Annotated[
        float | None,
        knob("margin ratio below which nothing is opened; empty: 10 % above LIMITS__MARGIN_RATIO_MIN", ge=1),
    ] = None
    opening_distance_min: Annotated[
        float | None,
        knob(
            "liquidation distance below which nothing is opened; empty: 10 % above "
            "LIMITS__LIQUIDATION_DISTANCE_MIN",
            ge=0,
            le=1,
        ),
    ] = None
    deleverage_ratio: Annotated[
        float | None,
        knob(
            "margin ratio below which both legs are reduced; empty: halfway from LIMITS__MARGIN_RATIO_MIN to "
            "1",
            ge=1,
        ),
    ] = None
    deleverage_distance: Annotated[
        float | None,
        knob(
            "liquidation distance below which both legs are reduced; empty: half of "
            "LIMITS__LIQUIDATION_DISTANCE_MIN",
            ge=0,
            le=1,
        ),
    ] = None


class Fuse(Struct, frozen=True, kw_only=True):
    """Budgets of the last line before the wire, which knows no state."""

    opening_orders_per_min: Annotated[int, knob("orders that open, a minute", gt=0)] = 120
    closing_orders_per_min: Annotated[int, knob("orders that close, a minute", gt=0)] = 240
    opening_notional_per_min_quote: Annotated[
        Decimal, knob("notional that opens, a minute, quote currency", gt=0)
    ]
    closing_notional_per_min_quote: Annotated[
        Decimal, knob("notional that closes, a minute, quote currency", gt=0)
    ]
    deadline_s: Annotated[float, knob("silence after which an order's outcome is unknown, seconds", gt=0)] = (
        5.0
    )
    repair_orders_per_min: Annotated[
        int | None, knob("orders that repair a hedge, a minute; empty: as many as may close", gt=0)
    ] = None
    repair_notional_per_min_quote: Annotated[
        Decimal | None,
        knob("notional that repairs a hedge, a minute, quote currency; empty: as much as may close", gt=0),
    ] = None


class Budget(Struct, frozen=True, kw_only=True):
    """What trading may cost before entries end.  No budget ever stops what makes a position smaller."""

    fees_day_pair_bps: Annotated[
        float,
        knob("fees a UTC day, basis points of a pair's capital; passed: no entries until 00:00 UTC", gt=0),
    ] = 100.0
    fees_day_book_bps: Annotated[
        float,
        knob("fees a UTC day of all pairs, basis points of their capital; passed: the same for all", gt=0),
    ] = 50.0
    fees_month_pair_bps: Annotated[
        float, knob("fees in 30 days, basis points of a pair's capital; passed: the pair is paused", gt=0)
    ] = 200.0
    turnover_day_pair: Annotated[
        float,
        knob(
            "what was opened and closed again within 24 hours, multiple of a pair's capital; passed: no "
            "entries for 24 hours",
            gt=0,
        ),
    ] = 2.0
    undone_pause_s: Annotated[
        float,
        knob("seconds without entries after one that was given back; each further one doubles them", ge=0),
    ] = 60.0
    undone_pause_max_s: Annotated[float, knob("most seconds of that pause", ge=0)] = 3600.0
    undone_max: Annotated[
        int, knob("entries of a pair given back within 24 hours; with the last one the pair is paused", ge=1)
    ] = 5
    refused_orders_per_min: Annotated[
        int, knob("orders of an account that its venue refuses, a minute; reached: openings are held", ge=1)
    ] = 20
    refused_pause_s: Annotated[float, knob("seconds for which they are held", ge=0)] = 600.0
    loss_day_bps: Annotated[
        float,
        knob(
            "loss since 00:00 UTC, basis points of all pairs' capital; passed: everything reduce-only", gt=0
        ),
    ] = 200.0
    loss_peak_bps: Annotated[
        float,
        knob(
            "loss from the best result since the journal began or the last resume, basis points of all "
            "pairs' capital; passed: everything reduce-only",
            gt=0,
        ),
    ] = 500.0


class FeeRate(Struct, frozen=True):
    """Maker and taker fee of a market family, as a fraction of notional."""

    maker_rate: Decimal
    taker_rate: Decimal


class Balance(Struct, frozen=True):
    """What a paper account holds at first boot."""

    account: str
    asset: str
    amount: Decimal


class Config(Struct, frozen=True, kw_only=True):
    """The whole configuration of a run, as journaled."""

    mode: Annotated[
        Literal["paper", "rehearsal", "testnet", "live"],
        knob("where orders go: the simulated venue, loopback servers, a test network, or a real account"),
    ] = "paper"
    bot_tag: Annotated[
        str, Meta(pattern="^[a-z0-9]{4}$", description="first four characters of every order id")
    ] = "bsbt"
    nav_currency: Annotated[
        str, Meta(pattern="^[A-Z0-9]+$", description="currency of NAV and attribution")
    ] = "USDT"
    pairs: Annotated[
        tuple[PairSpec, ...], knob("NAME=venue:market:SYMBOL/venue:market:SYMBOL, long leg first")
    ]
    usdt_usd_rate: Annotated[
        Decimal | None, knob("USD for one USDT; needed where a USDT leg meets a USD leg; empty: refuse", gt=0)
    ] = None
    paper_up_ms: Annotated[float, knob("an order's way to the venue, milliseconds", ge=0)] = 5.0
    paper_down_ms: Annotated[float, knob("an answer's way back, milliseconds", ge=0)] = 5.0
    paper_step_us: Annotated[float, knob("modelled duration of one step, microseconds", ge=0)] = 200.0
    order_transport: Annotated[
        Literal["ws", "rest"], knob("orders leave by the venue's WebSocket API, or by REST")
    ] = "ws"
    contract_leverage: Annotated[
        int | None,
        knob("leverage each contract must be set to at the venue; empty: anything not below the limit", ge=1),
    ] = None
    stop_grace_s: Annotated[
        float, knob("seconds that a stop may take to finish or unwind what is half done", gt=0)
    ] = 30.0
    api_port: Annotated[int, knob("port of the local API on 127.0.0.1; 0: none", ge=0, le=65535)] = 8686
    paper_balances: Annotated[
        tuple[Balance, ...], knob("venue:market:ASSET=amount, comma separated; a paper account needs some")
    ] = ()
    paper_fees_bps: Annotated[
        dict[str, FeeRate],
        knob("market=maker/taker in basis points, comma separated; empty: the instrument files' or ccxt's"),
    ] = {}
    paper_reference: Annotated[
        Literal["none", "index", "mark", "mid"], knob("what stands in for a missing mark or index")
    ] = "none"
    paper_missing_funding: Annotated[
        Literal["refuse", "zero", "last", "estimate"],
        knob("the rate of a settlement the recording has no rate for"),
    ] = "refuse"
    strategy: Strategy
    limits: Limits
    fuse: Fuse
    exit: Exit = Exit()
    budget: Budget = Budget()
    margin: Margin = Margin()
