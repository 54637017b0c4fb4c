"""How an account and its contracts are set at the venue, as far as an exchange's class in ccxt tells.

ccxt streams no such thing, so it is asked for: by the doctor, as the private channel opens, and before each
report of an account, so that a change binds within one report.  What must stay true: what nobody tells is not
judged, and what was told once is a fact again only when it has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from adapters.ccxt.desk import Leg
from adapters.ccxt.exchange import Exchange, answered, unanswered
from adapters.ccxt.markets import number
from bot.model.facts import AccountSet, ContractSet, ProtocolDrift
from bot.model.ids import AccountId
from bot.ports import Emit

_SIDES = ("longLeverage", "shortLeverage")


class ContractAt(Struct, frozen=True):
    """``margin_mode`` is ccxt's word, ``leverage`` the smaller of both sides'; ``None`` where untold."""

    leverage: int | None
    margin_mode: str | None


async def read_hedged(exchange: Exchange, symbol: str) -> bool | None:
    """Whether long and short are held apart; ``None`` where the class does not tell.  Raises `failures`."""
    if not exchange.has.get("fetchPositionMode"):
        return None
    return bool((await answered(exchange.fetch_position_mode(symbol)))["hedged"])


async def read_contract(exchange: Exchange, symbol: str) -> ContractAt:
    """Margin mode and leverage of one contract.  Raises `failures`."""
    told: Mapping[str, Any] = {}
    if exchange.has.get("fetchLeverage"):
        told = await answered(exchange.fetch_leverage(symbol))
    mode = told.get("marginMode")
    if exchange.has.get("fetchMarginMode"):  # of the two the one that states how it is set
        mode = (await answered(exchange.fetch_margin_mode(symbol)))["marginMode"]
    known = [side for name in _SIDES if (side := number(told.get(name))) is not None]
    return ContractAt(int(min(known)) if known else None, mode)


class SetAtVenue:
    """Tells how accounts are set, once and whenever that has changed."""

    def __init__(self, exchange: Exchange, emit: Emit) -> None:
        self._exchange, self._emit = exchange, emit
        self._told: dict[str, tuple[object, ...]] = {}

    async def tell(self, account: AccountId, legs: Sequence[Leg], at_ns: int) -> None:
        """Ask, and tell what is new; what is not answered stays as it was told."""
        contracts = [leg for leg in legs if not leg.instrument.is_spot]
        if not contracts:
            return
        try:
            is_hedged = await read_hedged(self._exchange, contracts[0].symbol)
            found = [(leg, await read_contract(self._exchange, leg.symbol)) for leg in contracts]
        except unanswered() as error:
            reason = f"settings of {account}: {type(error).__name__}"
            self._emit(ProtocolDrift(account, "settings", reason))
            return
        if is_hedged is not None and self._is_new(account, is_hedged):
            self._emit(AccountSet(account, is_hedged, False, at_ns))
        for fact in _contracts(found, at_ns):
            if self._is_new(fact.instrument, fact.leverage, fact.is_cross):
                self._emit(fact)

    def _is_new(self, name: str, *said: object) -> bool:
        before, self._told[name] = self._told.get(name), said
        return before != said


def _contracts(found: Iterable[tuple[Leg, ContractAt]], at_ns: int) -> Iterator[ContractSet]:
    """A contract of which leverage and mode are told; of one in isolated margin the mode is enough."""
    for leg, told in found:
        if told.margin_mode == "isolated":
            yield ContractSet(leg.id, told.leverage or 0, False, at_ns)
        elif told.margin_mode is not None and told.leverage is not None:
            yield ContractSet(leg.id, told.leverage, True, at_ns)
