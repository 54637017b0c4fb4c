"""Commands: what is wanted, in the imperative.

A command exists only after the risk guard admitted it, and is journaled with the facts that led to it.
``PlaceOrder``, ``CancelOrder`` and the queries go to a venue; the rest change our own state or tell a person.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from bot.model.ids import AccountId, ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.pair import Mode, Purpose, Role


class TimeInForce(Enum):
    IOC = "IOC"
    GTC = "GTC"
    POST_ONLY = "POST_ONLY"
    FOK = "FOK"


class Why(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of the reasons; each carries the numbers the decision was made from."""


class EntryCarry(Why, frozen=True):
    net_apr: float
    expected_apr: float
    cost_bps: float
    needed_apr: float
    slow_apr: float | None = None  # by the switch: what the pair has lately earned


class EntryGap(Why, frozen=True):
    gap_bps: float
    needed_bps: float
    cost_bps: float


class ExitCarry(Why, frozen=True):
    expected_apr: float
    needed_apr: float
    slow_apr: float | None = None  # by the switch, and so are the next two
    paid_bps: float | None = None  # funding paid since the position's best point
    cost_bps: float | None = None


class ExitGap(Why, frozen=True):
    gap_bps: float
    needed_bps: float


class ExitHold(Why, frozen=True):
    """The longest hold was reached."""

    held_s: float
    limit_s: float


class Flatten(Why, frozen=True):
    """The mode says that the pair must go."""

    reason: str


class DriftBand(Why, frozen=True):
    delta_base: float
    band_base: float
    error_bps: float


class LegMissing(Why, frozen=True):
    """The other leg filled and this one is owed."""

    naked_base: float
    naked_s: float
    attempt: int


class LegUnwound(Why, frozen=True):
    """The missing leg could not be had: the filled one goes back."""

    naked_base: float
    attempts: int


class ExitEnd(Why, frozen=True):
    """A leg ends: delivery, or a perpetual that its venue will list no more."""

    instrument: InstrumentId
    left_h: float
    limit_h: float


class Deleverage(Why, frozen=True):
    """A wallet's margin passed the threshold of deleveraging: ``rule`` with its value and limit."""

    wallet: str
    rule: str
    value: str
    limit: str


AnyWhy = (
    EntryCarry | EntryGap | ExitCarry | ExitGap | ExitHold | Flatten | DriftBand | LegMissing | LegUnwound
    | ExitEnd | Deleverage
)  # fmt: skip


class Command(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all commands; the tag is the class name."""


class MarginStage(Enum):
    """What a wallet does after its margin passed the threshold of deleveraging."""

    GIVING = "giving"  # both legs of its pairs are reduced until it is inside the limits that latch
    WAITING = "waiting"  # it is, and not inside the limits of what opens
    INSIDE = "inside"  # it is inside those too, since the command
    FREE = "free"  # it was so for long enough


class PlaceOrder(Command, frozen=True):
    """``qty`` > 0 in venue units; ``arrival_mid`` is the mid that the decision saw, from which slippage
    counts."""

    client_id: ClientId
    pair: PairName
    role: Role
    instrument: InstrumentId
    side: Side
    qty: Decimal
    price: Decimal
    tif: TimeInForce
    reduce_only: bool
    purpose: Purpose
    arrival_mid: Decimal
    why: AnyWhy


class CancelOrder(Command, frozen=True):
    client_id: ClientId
    instrument: InstrumentId
    reason: str


class QueryOrder(Command, frozen=True):
    client_id: ClientId
    instrument: InstrumentId


class QueryAccount(Command, frozen=True):
    """Ask for a whole wallet.

    Payments dated ``since_ns`` or later are told again before the answer, and so is every fill of this
    account's instruments that follows the trade id ``after_trades`` gives for them.  Where the venue does not
    know that trade itself any more, it has begun anew (`facts.VenueReset`).
    """

    account: AccountId
    since_ns: int = 0
    after_trades: dict[InstrumentId, str] = {}


class SetMode(Command, frozen=True):
    """``scope`` is a pair's name, or ``*`` for everything."""

    scope: str
    mode: Mode
    reason: str


class SetSwitch(Command, frozen=True):
    """What a pair's carry is worth from this settlement to the next, and the numbers that say so.

    ``is_in``: whether carry wants the position, by its own hysteresis.  ``leaves``: whether what is held for
    another reason should go.  ``above_apr`` is what a round trip's cost asks of the forecast above the
    hurdle.  ``settlements`` counts those that the decision has seen, of both legs.
    """

    pair: PairName
    is_in: bool
    leaves: bool
    forecast_apr: float
    slow_apr: float
    above_apr: float
    enter_apr: float
    leave_apr: float
    cost_bps: float
    paid_bps: float
    settlements: int


class NoteIdle(Command, frozen=True):
    """Why a pair is not trading, when the reason changes.  ``value`` and ``limit`` are its numbers, as
    text."""

    pair: PairName
    reason: str
    value: str = ""
    limit: str = ""


class RaiseAlert(Command, frozen=True):
    """Tell a person.  ``stands``: a condition that lasts (it is told again until its end is told, with
    ``info`` and the same key), not an event."""

    key: str
    severity: str
    text: str
    stands: bool = False


class SetMargin(Command, frozen=True):
    """A wallet enters a stage of deleveraging; ``rule``, ``value`` and ``limit`` say what it passed."""

    account: AccountId
    asset: str
    stage: MarginStage
    rule: str = ""
    value: str = ""
    limit: str = ""


AnyCommand = (
    PlaceOrder
    | CancelOrder
    | QueryOrder
    | QueryAccount
    | SetMode
    | NoteIdle
    | RaiseAlert
    | SetSwitch
    | SetMargin
)
Outward = PlaceOrder | CancelOrder | QueryOrder | QueryAccount
