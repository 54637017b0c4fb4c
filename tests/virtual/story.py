"""What a story of faults is made of, and what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from bot.model.commands import RaiseAlert
from bot.model.config import Config
from bot.model.entry import Entry
from bot.model.ids import AccountId, InstrumentId
from bot.model.instrument import Position
from bot.model.pair import Mode
from bot.model.store import Store
from bot.settings import load
from bot.shell.daemon import Outcome
from risk.hold import Hold
from tests.e2e import feeds

START_NS = feeds.START_MS * 1_000_000
PATIENCE_S = 1.5
DEADLINE_S = 1.0
PONG_S = 4.0
REBOOT_S = 0.5
READY_S = 5.0  # the end of a story may fall into a moment in which a book is resynchronised

# everything that waits waits less than it would in earnest, so that a run is short
QUICK = {
    "LIMITS__NET_DELTA_MAX_QUOTE": "70000",  # a leg that stands alone for a while passes no limit
    "STRATEGY__PATIENCE_S": str(PATIENCE_S),
    "STRATEGY__CLIP_INTERVAL_S": "1.5",
    "STRATEGY__REASK_S": "2",
    "STRATEGY__RECEIVE_WINDOW_S": "2",
    "STRATEGY__RECONCILE_S": "8",
    "FUSE__DEADLINE_S": str(DEADLINE_S),
}


class Story(Struct, frozen=True, kw_only=True):
    """``script`` as for `adapters.rehearsal.faults.parse`, in seconds after the bot's start; ``changes`` are
    settings without their prefix; ``kills`` the step of each life but the last at which it ends
    (`tests.virtual.mortal`); ``stops_s`` when the first life is told to stop, which the second time is at
    once; ``adopts`` when an operator takes which account over as it stands; ``orders`` when an operator
    orders which mode for everything and for each pair, which nobody takes while no life is there."""

    script: str = ""
    seconds: float = 60.0
    perpetual: Literal["usdm", "coinm"] = "usdm"
    transport: Literal["ws", "rest"] = "ws"
    changes: Mapping[str, str] = {}
    kills: tuple[int, ...] = ()
    adopts: tuple[tuple[float, str], ...] = ()
    stops_s: tuple[float, ...] = ()
    orders: tuple[tuple[float, Mode], ...] = ()


class Ending(Struct, frozen=True):
    """How the last life ended.  ``holds`` and ``modes`` are by pair, just before it was told to stop;
    ``lives`` are the steps of each life."""

    outcome: Outcome
    holds: dict[str, tuple[Hold, ...]]
    modes: dict[str, Mode]
    lives: list[list[str]]


class Told(Struct, frozen=True, kw_only=True):
    """What came of a story: the bot's side, and the venue's (``balances``, ``positions``; ``arrived`` counts
    orders at its door by client id, ``naked_s`` is the longest time it saw one leg without the other)."""

    ending: Ending
    store: Store
    entries: list[Entry]
    alerts: list[RaiseAlert]
    notes: list[str]
    balances: dict[AccountId, dict[str, Decimal]]
    positions: dict[InstrumentId, Position]
    arrived: Counter[str]
    naked_s: float


def config_of(story: Story) -> Config:
    changes = {**QUICK, "ORDER_TRANSPORT": story.transport, **story.changes}
    return load(feeds.settings(story.perpetual, changes)).config
