"""Facts: what happened, in the past tense, one type per thing that can happen.

Everything the core knows arrives as one of these.  They are frozen, they carry no behaviour, and they are
journaled as they are, so a field is only ever added at the end with a default, and a changed meaning is a new
type.  Times are nanoseconds since 1970: ``venue_ns`` by the venue's clock (``None`` where the venue does not
say), ``seen_ns`` by ours, at receipt.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from bot.model.account_facts import (
    AccountReported,
    AccountSet,
    AccountTouched,
    AdoptionOrdered,
    BalanceSeen,
    ContractSet,
    FeeAssetSet,
    ForeignOrder,
    FundingPaid,
    HistoryGapped,
    InsuranceCharged,
    InterestCharged,
    MarginCalled,
    PositionHeld,
    PositionSeen,
    Transferred,
    VenueReset,
)
from bot.model.config import Config
from bot.model.fact import Fact
from bot.model.ids import AccountId, ClientId, InstrumentId, PairName
from bot.model.instrument import Instrument, Side
from bot.model.pair import Mode

Level = tuple[float, float]  # price, size in base currency


class Channel(Enum):
    MARKET = "market"
    PRIVATE = "private"
    ORDERS = "orders"


class OrderStatus(Enum):
    """What a venue says of an order when asked."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class Origin(Struct, frozen=True):
    """One input of a replay: a recording, a funding table, an instrument file."""

    name: str
    sha256: str
    offset_ns: int = 0


# --- the run ----------------------------------------------------------------------------------------------


class Booted(Fact, frozen=True):
    """A run begins.  ``previous`` is how the one before it ended: none, clean, aborted, crash or bug."""

    run_id: str
    version: str
    config: Config
    previous: str = "none"
    origins: tuple[Origin, ...] = ()
    from_ns: int = 0
    until_ns: int = 0


class InstrumentListed(Fact, frozen=True):
    """A venue describes an instrument, or describes it anew."""

    instrument: Instrument


class ModeOrdered(Fact, frozen=True):
    """An operator sets the mode of a pair, or of everything when ``scope`` is ``*``."""

    scope: str
    mode: Mode
    actor: str
    reason: str


class StopOrdered(Fact, frozen=True):
    """Somebody asks the run to end in order: open nothing, finish or unwind what is half done, cancel."""

    actor: str
    reason: str


class Stopped(Fact, frozen=True):
    """The run ends.  ``clean`` is false when its time to end in order ran out."""

    clean: bool
    reason: str


class SettingsChanged(Fact, frozen=True):
    """The settings of a living run change; only what `bot.settings` calls tunable differs."""

    config: Config
    actor: str


class ResidualSettled(Fact, frozen=True):
    """An operator says that the coins which an inverse pair left behind are no longer the pair's."""

    pair: PairName
    actor: str
    reason: str


class FeedEnded(Fact, frozen=True):
    """A recording has no more frames and nothing is in flight any more."""

    feed: str


class Tick(Fact, frozen=True):
    """Once a second: when each feed was last heard, and each market's clock offset left after correction."""

    seen_ns: dict[InstrumentId, int]
    offset_ns: dict[AccountId, int]


# --- the market -------------------------------------------------------------------------------------------


class BookSeen(Fact, frozen=True):
    """The near side of a book, best level first, sizes in base currency."""

    instrument: InstrumentId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ns: int | None
    seen_ns: int


class BookGapped(Fact, frozen=True):
    """Depth updates went missing: the book is unknown until a `BookSeen` follows."""

    instrument: InstrumentId
    expected: int
    got: int
    seen_ns: int


class MarkSeen(Fact, frozen=True):
    """Mark and index price; either may be absent where the venue's stream does not carry it."""

    instrument: InstrumentId
    mark: Decimal | None
    index: Decimal | None
    venue_ns: int | None
    seen_ns: int


class FundingEstimated(Fact, frozen=True):
    """The venue's running estimate of the next settlement's rate, per interval."""

    instrument: InstrumentId
    rate: Decimal
    next_ns: int
    venue_ns: int | None
    seen_ns: int


class FundingSettled(Fact, frozen=True):
    """A settlement's rate became known."""

    instrument: InstrumentId
    rate: Decimal
    settled_ns: int


class RateSeen(Fact, frozen=True):
    """``rate`` units of ``quote`` for one ``base``, where both are cash (USDT/USD)."""

    base: str
    quote: str
    rate: Decimal
    seen_ns: int


class InstrumentStatusSeen(Fact, frozen=True):
    """A venue says whether an instrument can be traded; ``status`` is its own word, ``TRADING`` means yes."""

    instrument: InstrumentId
    status: str
    seen_ns: int


class Throttled(Fact, frozen=True):
    """A venue answers nothing more until ``until_ns``: too many requests, or maintenance."""

    account: AccountId
    until_ns: int
    code: str
    reason: str


class ProtocolDrift(Fact, frozen=True):
    """A venue said something its codec does not know; the stream goes on."""

    account: AccountId
    stream: str
    reason: str


class ChannelLost(Fact, frozen=True):
    """``is_refused``: the venue answers and refuses, so that waiting alone opens nothing."""

    account: AccountId
    channel: Channel
    reason: str
    is_refused: bool = False


class ChannelOpened(Fact, frozen=True):
    account: AccountId
    channel: Channel


# --- orders -----------------------------------------------------------------------------------------------


class OrderAccepted(Fact, frozen=True):
    client_id: ClientId
    venue_order_id: str
    venue_ns: int


class OrderRejected(Fact, frozen=True):
    """The venue vouches that the order never lived."""

    client_id: ClientId
    code: str
    reason: str
    venue_ns: int


class OrderFilled(Fact, frozen=True):
    """One execution.  ``qty`` > 0 in venue units; ``fee`` > 0 is paid, in ``fee_asset``."""

    client_id: ClientId
    instrument: InstrumentId
    trade_id: str
    venue_order_id: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    venue_ns: int


class ForcedFilled(Fact, frozen=True):
    """An execution of ours that no order of ours asked for: ADL, liquidation, forced settlement."""

    instrument: InstrumentId
    trade_id: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    cause: str
    venue_ns: int


class OrderCanceled(Fact, frozen=True):
    """The order ended at our wish; every fill it had has been told before."""

    client_id: ClientId
    venue_ns: int


class OrderExpired(Fact, frozen=True):
    """The venue ended the order by its own rule (the rest of an IOC, a self-trade guard); every fill it had
    has been told before."""

    client_id: ClientId
    reason: str
    venue_ns: int


class CancelRejected(Fact, frozen=True):
    client_id: ClientId
    code: str
    reason: str
    venue_ns: int


class OrderUncertain(Fact, frozen=True):
    """Nobody vouches for the outcome: a deadline passed, or an answer that says nothing."""

    client_id: ClientId
    reason: str


class OrderReported(Fact, frozen=True):
    """Answer to a query.  Every fill the report counts has been emitted as `OrderFilled` before it."""

    client_id: ClientId
    instrument: InstrumentId
    venue_order_id: str
    status: OrderStatus
    side: Side
    qty: Decimal
    filled_qty: Decimal
    venue_ns: int


class OrderNotFound(Fact, frozen=True):
    """Answer to a query: neither the order nor a trade of it is known to the venue."""

    client_id: ClientId
    venue_ns: int


RunFact = (
    Booted | InstrumentListed | ModeOrdered | FeedEnded | Tick | ProtocolDrift | ChannelLost | ChannelOpened
    | StopOrdered | Stopped | SettingsChanged | InstrumentStatusSeen | Throttled | ResidualSettled
)  # fmt: skip
OperatorFact = ModeOrdered | AdoptionOrdered | ResidualSettled  # those that a verb orders
MarketFact = BookSeen | MarkSeen | FundingEstimated | BookGapped | FundingSettled | RateSeen
OrderFact = (
    OrderAccepted | OrderRejected | OrderFilled | OrderCanceled | OrderExpired
    | CancelRejected | OrderUncertain | OrderReported | OrderNotFound
)  # fmt: skip
AccountFact = (
    AccountReported | BalanceSeen | PositionSeen | FundingPaid | InterestCharged | Transferred | ForcedFilled
    | InsuranceCharged | MarginCalled | HistoryGapped | VenueReset | AdoptionOrdered
    | AccountTouched | ContractSet | AccountSet | FeeAssetSet
)  # fmt: skip
AnyFact = MarketFact | RunFact | OrderFact | AccountFact
