"""The state store: everything the bot believes, as one tree.

Only `bot.core.fold` writes it.  The rebalancer, the guard and the watch read it.  It holds no derived opinion
(holds are recomputed each step) and nothing that the journal's facts and commands do not determine, so that
folding the journal alone restores it, bit for bit: mappings are dictionaries in order of arrival, never sets.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from enum import Enum

import msgspec
from msgspec import Struct, field

from bot.model.commands import AnyWhy, MarginStage, SetSwitch, TimeInForce
from bot.model.config import Config
from bot.model.facts import Channel, ForeignOrder, Level
from bot.model.ids import AccountId, ClientId, InstrumentId, PairName
from bot.model.index import Index
from bot.model.instrument import Instrument, Position, Side
from bot.model.ledger import Ledger
from bot.model.money import ZERO
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from bot.model.settlements import Settlements
from bot.model.spending import BookSpending, PairSpending


class OrderState(Enum):
    SENT = "SENT"
    OPEN = "OPEN"
    CANCELING = "CANCELING"
    UNCERTAIN = "UNCERTAIN"
    DONE = "DONE"  # ended with all its fills known: filled, cancelled or expired
    DEAD = "DEAD"  # never lived: rejected or settled as not found

    @property
    def is_live(self) -> bool:
        return self is not OrderState.DONE and self is not OrderState.DEAD


class Market(Struct):
    """What is known of one instrument."""

    instrument: Instrument
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    book_venue_ns: int | None = None
    book_seen_ns: int = 0
    heard_ns: int = 0  # receive time of the last frame of any kind, material or not
    gapped: bool = False
    ended: bool = False
    mark: Decimal | None = None  # spot: its own mid
    index: Decimal | None = None
    mark_seen_ns: int = 0
    funding_rate: Decimal | None = None  # running estimate, per interval
    funding_next_ns: int = 0
    settled_rate: Decimal | None = None
    settled_ns: int = 0
    status: str = ""  # the venue's word, when it is not that of an instrument that trades
    trade_id: str = ""  # of our latest execution
    known_trade_id: str = ""  # none was missed up to it: our latest when the account last agreed
    leverage: int | None = None  # as set for this contract at the venue; None: nobody told
    isolated: bool = False  # its margin is its own
    index_ns: int = 0  # when the index was last told
    announced_h: int = 0  # funding interval by two settlements in a row; 0: as the venue lists it
    interval_doubt: bool = False  # the announced settlement is not one of that interval
    fee_assets: dict[Side, str] = field(default_factory=dict)  # spot: what its fees are paid in, where known
    fee_coin: str | None = None  # that they are set to be paid from; empty: none; None: nobody told

    @property
    def funding_interval_h(self) -> int:
        """Hours from settlement to settlement; 0 while they are in doubt, not known, or there are none."""
        return 0 if self.interval_doubt else self.announced_h or self.instrument.funding_interval_h

    settlements: Settlements = field(default_factory=Settlements)


class Order(Struct):
    """One order of ours, from the step that admitted it until an hour after it ended."""

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
    sent_ns: int
    state: OrderState = OrderState.SENT
    state_ns: int = 0
    filled_qty: Decimal = ZERO
    venue_order_id: str = ""
    ask_ns: int = 0  # when its state is to be asked (again)
    not_found: int = 0  # negative answers in a row
    reason: str = ""
    contradicted: int = 0  # facts of its venue about it that could not be
    spends: bool = False  # its fees are an entry's or a signal's, which budgets bound

    @property
    def open_qty(self) -> Decimal:
        """What may still fill: nothing once the order has ended."""
        return self.qty - self.filled_qty if self.state.is_live else ZERO


class Leg(Struct):
    """One leg's position.  ``coin_cash`` is what an inverse leg earned in coin: realised, funding, less
    fees."""

    role: Role
    instrument: InstrumentId
    position: Position = Position()
    coin_cash: Decimal = ZERO


class GapHour(Struct, frozen=True, array_like=True):
    """The executable gaps of one hour, sampled by the minute: their sum in basis points and their number."""

    hour: int
    sum_bps: float
    samples: int


class Move(Struct, frozen=True):
    """One transition of a pair's life cycle."""

    at_ns: int
    before: PairState
    after: PairState
    why: str


class Pair(Struct):
    spec: PairSpec
    long: Leg
    short: Leg
    state: PairState = PairState.FLAT
    since_ns: int = 0
    mode: Mode = Mode.ACTIVE
    mode_reason: str = ""
    entered_ns: int = 0  # first entry of the present position
    clip_ns: int = 0  # last entry or exit group sent
    naked_ns: int = 0  # since when the delta is beyond one lot; 0: it is not
    repairs: int = 0  # attempts to complete in the present episode
    repair_ns: int = 0  # when the last of them was sent
    growing: bool = False  # the last group sent was an entry
    idle: str = ""  # reason code of the last `NoteIdle`
    idle_value: str = ""
    idle_limit: str = ""
    why: AnyWhy | None = None  # of the last group sent
    moves: tuple[Move, ...] = ()  # of the last batch
    in_config: bool = True
    grow_tries: int = 0  # repairs in the leg that grows, in this round, since anything filled
    shrink_tries: int = 0  # the same in the leg that shrinks
    rounds: int = 0  # how often all that could be tried was, since anything filled
    fruitless: int = 0  # groups by force since anything filled: each is priced wider than the one before
    collar_ns: int = 0  # since when a group by force finds no price inside its collar; 0: it does
    idle_ns: int = 0  # since when ``idle`` has been its reason
    exits_undone: int = 0  # clips of an exit, in a row, of which a leg had to be bought back
    regrown: bool = False  # of the last clip of an exit one was
    spending: PairSpending = field(default_factory=PairSpending)
    entered_why: AnyWhy | None = None  # of the entry that began the present position
    switch: SetSwitch | None = None  # the last decision on its carry
    switch_ns: int = 0
    gap_hours: tuple[GapHour, ...] = ()  # of the last day, oldest first
    fuse_ns: int = 0  # when the fuse last refused an order of it

    def leg(self, role: Role) -> Leg:
        return self.long if role is Role.LONG else self.short

    @property
    def legs(self) -> tuple[Leg, Leg]:
        return (self.long, self.short)


class Deleveraged(Struct, frozen=True):
    """Where one margin asset of an account stands after it passed the threshold of deleveraging."""

    stage: MarginStage
    since_ns: int
    rule: str  # what it passed, with its value and limit
    value: str
    limit: str


class Account(Struct):
    """One wallet: what the venue says, and what stood there at first boot."""

    id: AccountId
    balances: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[InstrumentId, Position] = field(default_factory=dict)
    baseline: dict[str, Decimal] | None = None
    baseline_positions: dict[InstrumentId, Position] = field(default_factory=dict)
    reconciled: bool = False
    differences: tuple[str, ...] = ()  # between the last report and the ledger
    asked_ns: int = 0  # when the unanswered query was sent; 0: none
    reported_ns: int = 0  # of the last report, by our clock
    begun_ns: int = 0  # venue time of the report that was taken over last
    told_ns: int = 0  # venue time of the last report, before which payments were told
    lost: dict[Channel, str] = field(default_factory=dict)
    lost_ns: dict[Channel, int] = field(default_factory=dict)  # since when, for each of them
    refused: dict[Channel, str] = field(default_factory=dict)  # those that the venue refuses, and its words
    contract_fills: int = 0  # since it last agreed
    offset_ns: int = 0
    throttled_ns: int = 0  # until when the venue answers nothing
    foreign: tuple[ForeignOrder, ...] = ()  # open orders of others, by the last report
    adopting: str = ""  # why the next report is taken over instead of compared
    epoch: int = 0  # how often the venue has forgotten this account
    touched_ns: int = 0  # when somebody else last acted on it, by our clock
    hedged: bool = False  # set to hold long and short of one contract apart
    multi_assets: bool = False  # set to pay one asset's loss with another
    listed_from_ns: int = 0  # since then every payment is known by its name; 0: since ``begun_ns``
    moved: bool = False  # money moved on it since it was last compared
    shortfall: dict[InstrumentId, Decimal] = field(default_factory=dict)  # what the last report lacks, > 0
    shrunk: dict[InstrumentId, Decimal] = field(default_factory=dict)  # contracts that did, as it holds them
    adopted: tuple[InstrumentId, ...] = ()  # those that were taken over with the last report
    doubted_ns: int = 0  # when something spoke against the last report, by our clock
    agreed_ns: int = 0  # when a complete report last agreed with the ledger, by our clock
    unread_rows: int = 0  # of the last report
    rejects_ns: tuple[int, ...] = ()  # orders that the venue refused in the last minute
    openings_held_ns: int = 0  # until when, since those were too many
    fee_coin: str = ""  # that fees are paid from and nothing else here is traded in
    fee_coin_hours: dict[int, Decimal] = field(default_factory=dict)  # what they took of it in a day
    wallet_owed: bool = False  # contracts were taken over, and the wallet that closed them was not yet
    deleveraged: dict[str, Deleveraged] = field(default_factory=dict)  # by margin asset; free ones are absent


class Contradiction(Struct, frozen=True):
    """A fact that was refused, since it contradicts what is known: whose account told it, and what it is."""

    account: str
    text: str


class Routes(Struct):
    """Who is concerned by what, derived once from the configuration and the instruments."""

    pairs_of: dict[InstrumentId, tuple[PairName, ...]] = field(default_factory=dict)
    margined_in: dict[str, tuple[InstrumentId, ...]] = field(default_factory=dict)  # asset → contracts
    held_in: dict[str, tuple[PairName, ...]] = field(
        default_factory=dict
    )  # asset → pairs with a spot leg of it
    priced_by: dict[str, InstrumentId] = field(default_factory=dict)  # asset → instrument whose price it has
    accounts: tuple[AccountId, ...] = ()
    capital: dict[str, Decimal] = field(default_factory=dict)  # quote currency → of all configured pairs


class StandingAlert(Struct):
    """A condition that a person was told of and that is not over; ``text`` as told last."""

    severity: str
    text: str
    since_ns: int
    told_ns: int
    count: int = 1  # how often it was told


class Store(Struct, dict=True):
    """The whole tree.  Beside it, and no part of it, stands its `Index`."""

    config: Config | None = None
    run_id: str = ""
    runs: tuple[str, ...] = ()  # every run this journal has seen
    stopping: str = ""  # why the run is to end, once it is
    now_ns: int = 0
    boots_ns: tuple[int, ...] = ()
    mode: Mode = Mode.ACTIVE
    mode_reason: str = ""
    markets: dict[InstrumentId, Market] = field(default_factory=dict)
    pairs: dict[PairName, Pair] = field(default_factory=dict)
    accounts: dict[AccountId, Account] = field(default_factory=dict)
    orders: dict[ClientId, Order] = field(default_factory=dict)
    live: dict[ClientId, None] = field(default_factory=dict)  # those of them that live, in order of sending
    next_order: int = 1
    trades: dict[str, int] = field(default_factory=dict)  # dedup key of each fill and payment → venue time
    ledger: Ledger = field(default_factory=Ledger)
    routes: Routes = field(default_factory=Routes)
    rates: dict[str, Decimal] = field(default_factory=dict)  # "USDT/USD" → rate
    drift: dict[str, int] = field(default_factory=dict)  # protocol drift, counted by stream
    opening_ns: tuple[int, ...] = ()  # send times of opening orders in the last minute
    bugs_ns: tuple[int, ...] = ()  # those of ``boots_ns`` that followed a bug
    contradictions: tuple[Contradiction, ...] = ()  # of the last batch
    alerts: dict[str, StandingAlert] = field(default_factory=dict)  # those that stand, by key
    mode_ordered: bool = False  # whether an operator set the mode of everything
    spending: BookSpending = field(default_factory=BookSpending)
    gaps_minute: int = 0  # minute since 1970 in which gaps were sampled last


def live_orders(store: Store) -> list[Order]:
    """Every order that may still fill, in order of sending; the others are kept for what is told late."""
    orders = store.orders
    return [orders[name] for name in store.live]


def live_orders_of(store: Store, pair: Pair) -> list[Order]:
    if not store.live:
        return []
    index = index_of(store)
    if index is None:
        return [order for order in live_orders(store) if order.pair == pair.spec.name]
    orders = store.orders
    return [orders[name] for name in index.live_of.get(pair.spec.name, ())]


def live_orders_on(store: Store, instrument: InstrumentId) -> list[Order]:
    if not store.live:
        return []
    index = index_of(store)
    if index is None:
        return [order for order in live_orders(store) if order.instrument == instrument]
    orders = store.orders
    return [orders[name] for name in index.live_on.get(instrument, ())]


def index_of(store: Store) -> Index | None:
    """The index that the fold keeps; ``None`` for a store that was decoded or filled in by hand."""
    index: Index | None = store.__dict__.get("index")
    return index


def indexed(store: Store) -> Index:
    """The index that is kept, or one that is true at this moment and kept by nobody."""
    return index_of(store) or make_index(store)


def keep_index(store: Store) -> Index:
    """The index of a store that from here on only the fold writes."""
    index = index_of(store)
    if index is None:
        index = store.__dict__["index"] = make_index(store)
    return index


def drop_index(store: Store) -> None:
    """Forget what is derived: for whoever writes the store by other ways than the fold."""
    store.__dict__.pop("index", None)


def make_index(store: Store) -> Index:
    index = Index()
    for order in live_orders(store):
        index.begin_order(order.client_id, order.pair, order.instrument, order.ask_ns)
    for place, (name, pair) in enumerate(store.pairs.items()):
        index.place_of[name] = place
        if pair.naked_ns:
            index.naked[name] = None
        if pair.moves:
            index.moved[name] = None
    return index


_encoder = msgspec.json.Encoder()


def encode_store(store: Store) -> bytes:
    return _encoder.encode(store)


def decode_store(data: bytes) -> Store:
    return msgspec.json.decode(data, type=Store)


def state_sha256(store: Store) -> str:
    """Hash of the whole tree: equal stores have equal hashes, and nothing else does."""
    return hashlib.sha256(encode_store(store)).hexdigest()
