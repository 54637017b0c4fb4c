"""The explorer's own measures of a pair, from the venue's books alone: delta, ratio, dust, and whether a leg
can be traded.

Written apart from the product's predicates on purpose.  Floats, since they judge and book nothing.  What must
stay true: where a price may fall on either side of a filter, the measure is the one that excuses the bot.
"""

from __future__ import annotations

from bot.model.config import Strategy
from bot.model.facts import Channel
from bot.model.ids import InstrumentId
from bot.model.instrument import Instrument, Side, base_per_qty
from bot.model.money import ZERO
from tests.simulation.explorer.books import Books
from tests.simulation.explorer.market import Book, Market
from tests.simulation.explorer.scenario import Bounds, PairPlan

SLACK = 1.15  # on top of the filters' 1.1: the bot prices at its limit, the judge at the mid
MINIMUM = 1.1


class Measure:
    """One pair's legs as they stand at the venue."""

    def __init__(self, plan: PairPlan, books: Books, market: Market, strategy: Strategy) -> None:
        self.plan = plan
        self.books = books
        self.strategy = strategy
        self.quotes: tuple[Book, Book] = (market.books[plan.long.id], market.books[plan.short.id])
        self.coin_start: dict[str, float] = {one.id: self._coins(one) for one in plan.legs}
        self.hand_start: dict[str, float] = dict.fromkeys(self.coin_start, 0.0)
        self.carried = 0.0  # coins that inverse legs earned or lost before the pair was last flat
        self.carried_by_hand = 0.0  # of them those of somebody else's closes

    def instrument(self, leg: int) -> Instrument:
        return self.books.instruments[self.plan.legs[leg].id]

    def held(self, leg: int, given_back: bool = False) -> float:
        """Quantity of a leg in venue units; ``given_back``: as if nobody else had taken any."""
        name = self.plan.legs[leg].id
        held = self.books.held(name)
        if given_back:
            held += self.books.missing.get(name, ZERO)
        return float(held)

    def _coins(self, one: Instrument) -> float:
        return float(self.books.accounts[one.account].wallet.get(one.base, ZERO)) if one.inverse else 0.0

    def _coins_by_hand(self, one: Instrument) -> float:
        return float(self.books.coins_by_hand.get(one.id, ZERO)) if one.inverse else 0.0

    def leg_base(self, leg: int, given_back: bool = False, by_hand: bool = True) -> float:
        """A leg's delta in base currency, coins that an inverse one earned included; ``by_hand``: with those
        that it earned when somebody else closed it, which come like a transfer."""
        one, held = self.instrument(leg), self.held(leg, given_back)
        if one.inverse:
            earned = self._coins(one) - self.coin_start[one.id]
            if not by_hand:
                earned -= self._coins_by_hand(one) - self.hand_start[one.id]
            return float(self.books.positions[one.id].cost) + earned
        return held * float(one.contract_size)

    def delta_base(self) -> float:
        """The pair's delta; of the readings that are defensible the one that is closest to zero."""
        readings = []
        for given_back in (False, True) if self._is_missing() else (False,):
            for by_hand in (False, True):
                sum_base = sum(self.leg_base(leg, given_back, by_hand) for leg in (0, 1))
                carried = self.carried - (0.0 if by_hand else self.carried_by_hand)
                readings += [sum_base, sum_base + carried]
            if any(
                one.inverse for one in self.plan.legs
            ):  # contracts at their price, earned coins left aside
                readings.append(sum(self.held(leg, given_back) * self.per_qty(leg) for leg in (0, 1)))
        return min(readings, key=abs)

    def _is_missing(self) -> bool:
        return any(self.books.missing.get(one.id) for one in self.plan.legs)

    def per_qty(self, leg: int) -> float:
        return base_per_qty(self.instrument(leg), self.quotes[leg].mid)

    def lot_base(self) -> float:
        """One lot of the coarser leg."""
        return max(float(self.instrument(leg).lot) * self.per_qty(leg) for leg in (0, 1))

    def size_base(self) -> float:
        return max(abs(self.held(leg)) * self.per_qty(leg) for leg in (0, 1))

    def size_quote(self) -> float:
        return self.size_base() * self.quotes[0].mid

    # --- predicates

    def naked_base(self) -> float:
        """What is unhedged beyond the band and could be traded away; 0 where the legs are in ratio."""
        delta = self.delta_base()
        lot = self.lot_base()
        leg = self.size_base()
        band = (
            max(self.strategy.drift_band_bps / 1e4 * leg, self.strategy.drift_band_lots * lot, lot) * 1.01
            + 1e-9 * leg
        )
        if abs(delta) <= band or not self.tradable_against(delta):
            return 0.0
        return delta

    def tradable_against(self, delta: float) -> bool:
        """Whether one order in either leg could take something of this delta away."""
        return any(self.order_against(leg, delta) for leg in (0, 1))

    def order_against(self, leg: int, delta: float) -> bool:
        """Whether filters and what is held allow an order in this leg that lowers |delta|."""
        one, held, mid = self.instrument(leg), self.held(leg), self.quotes[leg].mid
        side = Side.SELL if delta > 0 else Side.BUY
        qty = abs(delta) / self.per_qty(leg)
        reduces = held * side.sign < 0
        if reduces:
            qty = min(qty, abs(held))
        elif one.is_spot and side is Side.SELL:
            return False
        lots = int(qty / float(one.lot) / 1.01)
        if lots < 1 or lots * float(one.lot) < float(one.qty_min):
            return False
        if reduces and not one.is_spot:
            return True
        return _worth(one, lots * float(one.lot), mid) >= MINIMUM * SLACK * float(one.notional_min)

    def is_dust(self, leg: int, bounds: Bounds, given_back: bool = False) -> bool:
        """No contract, and coins that are neither worth much nor tradable, or not yet by half again."""
        one, held = self.instrument(leg), abs(self.held(leg, given_back))
        if not one.is_spot:
            return held == 0
        worth = held * self.quotes[leg].mid
        if worth > bounds.dust_quote:
            return False
        least = float(one.notional_min) * MINIMUM * SLACK * 1.5
        return held < max(float(one.lot), float(one.qty_min)) or worth < least

    def is_flat(self, bounds: Bounds) -> bool:
        """Both legs are gone; coins that somebody else took before the bot could know are not its to hold."""
        return any(all(self.is_dust(leg, bounds, given) for leg in (0, 1)) for given in (False, True))

    def is_stranded(self, leg: int, bounds: Bounds) -> bool:
        """Held, more than dust, and nothing of it can be closed by one order."""
        one, held = self.instrument(leg), abs(self.held(leg))
        if self.is_dust(leg, bounds):
            return False
        lots = int(held / float(one.lot) * (1 + 1e-12))
        if lots < 1 or lots * float(one.lot) < float(one.qty_min):
            return True
        return one.is_spot and _worth(one, held, self.quotes[leg].mid) < MINIMUM * SLACK * float(
            one.notional_min
        )

    def rest_quote(self) -> float:
        """The larger of what both legs still hold of coins, those that somebody else took left aside, quote
        currency."""
        spot = [leg for leg in (0, 1) if self.instrument(leg).is_spot]
        return max(
            (
                min(abs(self.held(leg, given)) for given in (False, True)) * self.quotes[leg].mid
                for leg in spot
            ),
            default=0.0,
        )

    def settle(self, bounds: Bounds) -> None:
        """A pair that is flat begins anew: what its inverse legs earned is the venue's coin margin."""
        if not any(one.inverse for one in self.plan.legs):
            return
        if not all(self.is_dust(leg, bounds, given_back=True) for leg in (0, 1)):
            return
        for one in self.plan.legs:
            if one.inverse:
                now = self._coins(one)
                self.carried += now - self.coin_start[one.id]
                self.carried_by_hand += self._coins_by_hand(one) - self.hand_start[one.id]
                self.coin_start[one.id], self.hand_start[one.id] = now, self._coins_by_hand(one)


def _worth(one: Instrument, qty: float, price: float) -> float:
    value = qty * float(one.contract_size)
    return value if one.inverse else value * price


class Reach:
    """Whether an order in a leg could execute now, by the venue's side of the seed."""

    def __init__(self, measure: Measure, status: dict[InstrumentId, str], bounds: Bounds) -> None:
        self.measure, self.status, self.bounds = measure, status, bounds

    def orders_pass(self, leg: int, now_ns: int) -> bool:
        """The channel is up, the instrument trades, the account may trade."""
        one = self.measure.instrument(leg)
        account = self.measure.books.accounts[one.account]
        if Channel.ORDERS in account.lost or now_ns < account.throttled_ns:
            return False
        return self.status[one.id] in ("TRADING", "DELISTING") and not (account.hedged and not one.is_spot)

    def is_blind(self, leg: int) -> bool:
        one, quote = self.measure.instrument(leg), self.measure.quotes[leg]
        return quote.is_blind or Channel.MARKET in self.measure.books.accounts[one.account].lost

    def is_thin(self, leg: int) -> bool:
        """A side of the ladder holds less than the least order, in lots of the coarser leg."""
        one, quote = self.measure.instrument(leg), self.measure.quotes[leg]
        least = max(float(one.qty_min) * self.measure.per_qty(leg), self.measure.lot_base())
        if not one.inverse:
            least = max(least, float(one.notional_min) * MINIMUM * SLACK / quote.mid)
        return any(sum(size for _, size in side) < least for side in (quote.bids, quote.asks))

    def _indexes(self, leg: int, now_ns: int) -> list[float]:
        """The true index, and what the bot heard last where that is not too old to be a reference."""
        quotes = self.measure.quotes
        found = [quotes[leg].index]
        told = quotes if self.measure.instrument(leg).is_spot else (quotes[leg],)
        young_ns = now_ns - (self.bounds.feed_age_s + 1) * 1e9
        return found + [quote.told_index for quote in told if quote.told_ns and quote.told_ns >= young_ns]

    def is_beyond(self, leg: int, side: Side, bps: float, now_ns: int) -> bool:
        """The touch lies beyond ``bps`` from the index, or beyond the venue's band."""
        one, quote = self.measure.instrument(leg), self.measure.quotes[leg]
        touch = quote.touch(side)
        if touch is None:
            return True
        if any((touch / index - 1) * side.sign * 1e4 > bps * 0.97 for index in self._indexes(leg, now_ns)):
            return True
        low, high = quote.mark * float(one.price_down), quote.mark * float(one.price_up)
        return not low * 1.001 <= touch <= high * 0.999

    def can_shrink(self, leg: int, delta: float, now_ns: int, bps: float) -> bool:
        """Whether an order against ``delta`` in this leg would pass, meet a price within ``bps`` of the index
        and be allowed."""
        side = Side.SELL if delta > 0 else Side.BUY
        one, measure = self.measure.instrument(leg), self.measure
        reduces = measure.held(leg) * side.sign < 0
        account = measure.books.accounts[one.account]
        if account.restricted and not reduces:
            return False
        if measure.books.is_missing(one.id, now_ns) or Channel.PRIVATE in account.lost:
            return False
        return (
            self.orders_pass(leg, now_ns)
            and not self.is_blind(leg)
            and not self.is_beyond(leg, side, bps, now_ns)
            and measure.order_against(leg, delta)
        )
