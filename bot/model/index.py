"""What is found in the store without looking through it: living orders by pair and instrument, who is naked,
and what has changed since the sums over all pairs were made (`risk.totals`).

It stands outside the store: it is not encoded, compared or hashed, and it is made again from the store where
it is missing, so that nothing here is ever a fact.  `bot.core.fold` keeps it with each fact and command.
What must stay true: it answers as a search of the store would, and whatever a sum depends on is marked when
it changes.  What is not known to change little marks everything.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.ids import AccountId, ClientId, InstrumentId, PairName, account_of

Wallet = tuple[AccountId, str]  # an account and one of its assets


class Index:
    """The dictionaries are sets that keep their order; the living orders stand in order of sending."""

    __slots__ = (
        "ask_ns", "changed_all", "changed_instruments", "changed_pairs", "changed_wallets", "drafted",
        "due_ns", "givers", "live_in", "live_of", "live_on", "loss_floor", "moved", "naked", "place_of",
        "priced_pairs", "spans", "totals", "watched",
    )  # fmt: skip

    def __init__(self) -> None:
        self.live_of: dict[PairName, dict[ClientId, None]] = {}
        self.live_on: dict[InstrumentId, dict[ClientId, None]] = {}
        self.live_in: dict[AccountId, int] = {}  # how many
        self.ask_ns = 0  # no living order is to be asked about before
        self.naked: dict[PairName, None] = {}
        self.moved: dict[PairName, None] = {}  # pairs with moves of the last batch
        self.place_of: dict[PairName, int] = {}  # a pair's place in the order of the store's
        self.due_ns: dict[PairName, int] = {}  # when time alone next changes what a pair does; none: at once
        self.changed_all = True
        self.changed_pairs: dict[PairName, None] = {}
        self.priced_pairs: dict[PairName, None] = {}  # only the price has changed of what they hold
        self.changed_instruments: dict[InstrumentId, None] = {}
        self.changed_wallets: dict[Wallet, None] = {}
        self.drafted = False  # whether the pair looked at asked the fuse for room, or has an order drafted
        # who gives to a wallet in this step, and the pairs before it that cannot
        self.givers: dict[Wallet, tuple[PairName | None, tuple[PairName, ...]]] = {}
        # best result, result of 00:00 UTC, and the result below which a budget of losses is passed
        self.loss_floor: tuple[Decimal, Decimal, Decimal] | None = None
        self.spans: object = None  # of `bot.core.due`
        self.totals: object = None  # of `risk.totals`
        self.watched: object = None  # of `risk.watch`

    def begin_order(self, client_id: ClientId, pair: PairName, instrument: InstrumentId, ask_ns: int) -> None:
        """An order begins to live."""
        self.live_of.setdefault(pair, {})[client_id] = None
        self.live_on.setdefault(instrument, {})[client_id] = None
        account = account_of(instrument)
        self.live_in[account] = self.live_in.get(account, 0) + 1
        self.ask_ns = min(self.ask_ns, ask_ns)

    def end_order(self, client_id: ClientId, pair: PairName, instrument: InstrumentId) -> None:
        """An order lives no more."""
        del self.live_of[pair][client_id]
        orders = self.live_on[instrument]
        del orders[client_id]
        if not orders:
            del self.live_on[instrument]
        account = account_of(instrument)
        self.live_in[account] -= 1
        if not self.live_in[account]:
            del self.live_in[account]

    @property
    def has_changes(self) -> bool:
        return bool(
            self.changed_instruments or self.changed_pairs or self.priced_pairs or self.changed_wallets
        )

    def mark_pair(self, name: PairName) -> None:
        self.changed_pairs[name] = None
        self.due_ns.pop(name, None)

    def mark_all(self) -> None:
        self.changed_all = True
        self.ask_ns = 0
        self.due_ns.clear()
        self.loss_floor = None

    def forget_changes(self) -> None:
        """The sums have followed."""
        self.changed_all = False
        self.changed_instruments.clear()
        self.changed_pairs.clear()
        self.priced_pairs.clear()
        self.changed_wallets.clear()
