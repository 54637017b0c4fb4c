"""What becomes of the coins that an inverse pair leaves behind.

They are the pair's residual (`risk.exposure.residual_base`), and end in two ways: somebody moves coins out of
the margin wallet, or back into it, and the venue tells of the transfer; or an operator says that they are no
longer the pair's.  What must stay true: a residual only moves towards zero, never beyond, and the ledger does
not notice: the coins are in the wallet's cash, and what they gain or lose is `collateral`.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.facts import ResidualSettled, Transferred
from bot.model.instrument import Instrument
from bot.model.money import ZERO
from bot.model.store import Leg, Pair, Store, keep_index
from risk.exposure import coins_base, config_of, residual_base


def transferred(store: Store, fact: Transferred) -> None:
    """Coins that left the wallet in which residuals lie, or came to replace what is missing there: taken from
    one pair after the other, in the order in which the pairs were made."""
    left = fact.amount
    for pair in store.pairs.values():
        owed, leg = residual_base(store, pair), _leg_in(store, pair, fact)
        if leg is None or owed * left >= 0:
            continue
        taken = max(left, -owed) if left < 0 else min(left, -owed)
        leg.coin_cash += taken
        keep_index(store).mark_pair(pair.spec.name)
        left -= taken


def settled(store: Store, fact: ResidualSettled) -> None:
    """An operator's word ends a residual; coins that a leg still hedges are none and stay the pair's."""
    pair = store.pairs.get(fact.pair)
    if pair is not None and residual_base(store, pair):
        for leg in pair.legs:
            leg.coin_cash = ZERO


def worth_quote(store: Store, pair: Pair) -> Decimal:
    """Absolute value of a residual at the mark, quote currency of its leg; zero without a mark."""
    owed = residual_base(store, pair)
    if not owed:
        return ZERO
    marks = [store.markets[leg.instrument].mark for leg in pair.legs if leg.instrument in store.markets]
    mark = next((mark for mark in marks if mark is not None), None)
    return ZERO if mark is None else abs(owed) * mark


def may_leave_coins(store: Store, pair: Pair) -> bool:
    """Whether a pair's residual can be worth more than dust; cheaper than to ask what it is worth."""
    coins = coins_base(pair)
    if not coins:
        return False
    for leg in pair.legs:
        if leg.position.qty and not store.markets[leg.instrument].instrument.is_spot:
            return False  # a contract that is open is no dust, and with it nothing is left behind
    mark = store.markets[pair.spec.long].mark or store.markets[pair.spec.short].mark
    return mark is not None and abs(coins) * mark > config_of(store).strategy.dust_max_quote


def _leg_in(store: Store, pair: Pair, fact: Transferred) -> Leg | None:
    """The pair's inverse leg that is margined by what was transferred."""
    for leg in pair.legs:
        market = store.markets.get(leg.instrument)
        if market is not None and _is_margined_by(market.instrument, fact):
            return leg
    return None


def _is_margined_by(instrument: Instrument, fact: Transferred) -> bool:
    margin = (instrument.account, instrument.margin_asset)
    return instrument.inverse and margin == (fact.account, fact.asset)
