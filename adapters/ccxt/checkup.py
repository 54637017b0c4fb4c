"""What an exchange says through ccxt of itself and of an account before it is traded.

Each class of ccxt tells some of it: what one does not tell is a warning, for a person to look up, and never
taken for right.  Without a key only the public side is examined, which is all that paper needs.  Nothing here
changes anything at the exchange.

Sources: the unified calls of ccxt 4.5.90 (2026-11-20), which has none for a key's rights: Binance states them
as ``enableWithdrawals`` (documentation), okx as a list of words in ``perm`` (rust-okx 0.6.4, account config).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from msgspec import Struct

from adapters.ccxt.desk import Leg, VenueTime
from adapters.ccxt.exchange import (
    Access,
    Exchange,
    answered,
    capability,
    failures,
    library,
    may_pass,
    open_exchange,
    worded,
)
from adapters.ccxt.holdings import wallet_params
from adapters.ccxt.markets import find_market, number
from adapters.ccxt.prices import read_prices
from adapters.ccxt.public import check_tiers
from adapters.ccxt.reference import TRADING, Given, measure_time, read_leg, status_of
from adapters.ccxt.set_at_venue import read_contract, read_hedged
from adapters.errors import FeedError
from adapters.ratelimit import RateBudget
from bot.model.config import Config
from bot.model.ids import InstrumentId, account_of
from bot.model.venue_settings import account_unfit, contract_unfit
from bot.ports import FEE_ASSET_UNKNOWN, Clock, Finding, Verdict

OK, WARNED, FAILED, SKIPPED = Verdict
Answer = list[Finding]
_MS = 1_000_000
_CREDENTIALS = "BASISBOT_CCXT_CREDENTIALS"
_LOOK = "ccxt does not tell it of this exchange: look it up there"


class Rights(Struct, frozen=True):
    """ccxt's name of the request that states a key's rights, and whether its answer says it may withdraw."""

    request: str
    may_withdraw: Callable[[Mapping[str, Any]], bool]


_OF_BINANCE = Rights("sapi_get_account_apirestrictions", lambda told: bool(told["enableWithdrawals"]))
RIGHTS = {
    **dict.fromkeys(("binance", "binanceusdm", "binancecoinm"), _OF_BINANCE),
    "okx": Rights(
        "private_get_account_config", lambda told: "withdraw" in str(told["data"][0]["perm"]).split(",")
    ),
}


class Patient(Struct, frozen=True):
    """Whom to examine: the legs at one exchange.  Without credentials in ``access`` its public side alone."""

    access: Access
    legs: tuple[InstrumentId, ...]
    config: Config
    given: Given = Given()

    @property
    def name(self) -> str:
        return self.access.name


async def checkup(patient: Patient, clock: Clock) -> tuple[Finding, ...]:
    """Every check, in the order in which a person would set things right."""
    name, budget = patient.name, RateBudget(patient.name)
    try:
        found = _capability(patient)
        exchange = open_exchange(patient.access, clock, budget, lambda status, until_ns: None)
    except FeedError as unusable:
        return (Finding(f"venue {name}", FAILED, str(unusable)),)
    try:
        found += await _asked(f"clock {name}", _clock(patient, exchange, VenueTime(clock)))
        markets = await _asked(f"markets {name}", _markets(exchange))
        found += markets
        if not any(one.verdict is FAILED for one in markets):
            found += await _of_markets(patient, exchange, clock)
        hosts = ", ".join(exchange.hosts) or "none was asked"
        return (*found, _budget(budget, clock.now_ns()), Finding(f"hosts {name}", OK, hosts))
    finally:
        await exchange.close()


async def _of_markets(patient: Patient, exchange: Exchange, clock: Clock) -> Answer:
    found: Answer = []
    for leg in patient.legs:
        found += await _asked(f"instrument {leg}", _listed(exchange, leg))
    if found:
        return found
    by_account = {account_of(leg): leg for leg in patient.legs}
    if patient.access.credentials:
        for account, leg in by_account.items():
            found += await _asked(f"key {account}", _key(exchange, leg))
        if any(one.verdict is FAILED for one in found):
            return found  # every other question would be refused for the same reason
        found += await _asked(f"key withdrawal {patient.name}", _withdrawal(patient, exchange))
        for account, leg in by_account.items():
            if not find_market(exchange, leg)["spot"]:
                check = f"position mode {account}"
                found += await _asked(check, _position_mode(exchange, check, leg))
    else:
        found.append(Finding(f"key {patient.name}", SKIPPED, "paper needs no account, and none was asked"))
    for leg in patient.legs:
        found += await _asked(f"instrument {leg}", _instrument(patient, exchange, leg, clock))
    return found


async def _asked(check: str, question: Coroutine[Any, Any, Answer]) -> Answer:
    """The findings of one question; one that was not answered failed."""
    told = library()
    try:
        return await question
    except FeedError as unusable:
        return [Finding(check, FAILED, str(unusable))]
    except (told.NotSupported, told.ArgumentsRequired):
        return [Finding(check, WARNED, _LOOK)]
    except told.InvalidNonce as error:
        text = f"the exchange refuses: {worded(error)}; set this machine's clock by NTP"
        return [Finding(check, FAILED, text, may_pass=True)]
    except (told.AuthenticationError, told.PermissionDenied) as error:
        text = (
            f"the exchange refuses: {worded(error)}; the key of {_CREDENTIALS} is wrong, lacks this right, "
        )
        return [Finding(check, FAILED, text + "or is bound to another address")]
    except failures() as error:
        if may_pass(error):
            text = f"{worded(error)}: look after the network and the exchange's status"
            return [Finding(check, FAILED, text, may_pass=True)]
        return [Finding(check, FAILED, f"the exchange refuses: {worded(error)}")]


# --- the exchange -----------------------------------------------------------------------------------------


def _capability(patient: Patient) -> Answer:
    """Raises `FeedError` for a name that ccxt does not know."""
    text, check = capability(patient.name), f"capability {patient.name}"
    is_lacking = bool(patient.access.credentials) and not patient.access.may_trade
    return (
        [Finding(check, FAILED, f"{text}: trade it on paper")] if is_lacking else [Finding(check, OK, text)]
    )


async def _clock(patient: Patient, exchange: Exchange, time: VenueTime) -> Answer:
    check = f"clock {patient.name}"
    if not exchange.has["fetchTime"]:
        return [
            Finding(check, SKIPPED, "this exchange tells no time: see that NTP sets this machine's clock")
        ]
    await measure_time(exchange, time)
    limit_ms = patient.config.limits.clock_offset_max_ms
    text = f"this machine is {-time.offset_ns / _MS:+.0f} ms from the venue, {limit_ms:g} ms are allowed"
    return [Finding(check, OK if abs(time.offset_ns) <= limit_ms * _MS else FAILED, text)]


async def _markets(exchange: Exchange) -> Answer:
    markets = await answered(exchange.load_markets())
    return [Finding(f"markets {exchange.id}", OK, f"{len(markets)} are listed")]


def _budget(budget: RateBudget, at_ns: int) -> Finding:
    told = {one.name: f"{one.value:g}" for one in budget.readings(at_ns)}
    text = f"{told['rate_used_count']} of {told['rate_limit_count']} a minute in use, by ccxt's own measure"
    return Finding(f"rate budget {budget.market}", OK, text)


# --- the account ------------------------------------------------------------------------------------------


async def _key(exchange: Exchange, leg: InstrumentId) -> Answer:
    params = wallet_params(find_market(exchange, leg))
    told = await answered(exchange.fetch_balance(params))
    held = sum(1 for total in told["total"].values() if number(total))
    return [Finding(f"key {account_of(leg)}", OK, f"the key reads the wallet, which holds {held} assets")]


async def _withdrawal(patient: Patient, exchange: Exchange) -> Answer:
    check, rights = f"key withdrawal {patient.name}", RIGHTS.get(patient.name)
    if rights is None:
        return [Finding(check, WARNED, f"whether the key may withdraw: {_LOOK}")]
    if patient.access.is_demo:
        return [Finding(check, SKIPPED, "trial hosts do not tell what a key may do")]
    if await answered(_may_withdraw(exchange, rights)):
        return [Finding(check, FAILED, "the key may withdraw: make one that may not, and delete this one")]
    return [Finding(check, OK, "the key may not withdraw")]


async def _may_withdraw(exchange: Exchange, rights: Rights) -> bool:
    return rights.may_withdraw(await getattr(exchange, rights.request)())


async def _position_mode(exchange: Exchange, check: str, leg: InstrumentId) -> Answer:
    is_hedged = await read_hedged(exchange, find_market(exchange, leg)["symbol"])
    if is_hedged is None:
        return [Finding(check, WARNED, f"whether it is one-way, as it must be: {_LOOK}")]
    if account_unfit(is_hedged=is_hedged, is_multi_assets=False):
        return [Finding(check, FAILED, "the account is in hedge mode: set the position mode to one-way")]
    return [Finding(check, OK, "one-way")]


async def _leverage(patient: Patient, exchange: Exchange, leg: Leg) -> Answer:
    """Margin mode and leverage as the exchange has them, as far as its class tells."""
    check, told = f"leverage {leg.id}", await read_contract(exchange, leg.symbol)
    mode, leverage = told.margin_mode, told.leverage
    if mode == "isolated":
        return [Finding(check, FAILED, "the margin mode is isolated: set it to cross")]
    if leverage is None:
        return [Finding(check, WARNED, f"margin mode {mode or 'unknown'}, leverage unknown: {_LOOK}")]
    unfit = contract_unfit(patient.config, leverage, is_cross=True)
    if unfit is not None:
        differs = unfit.code == "leverage_differs"
        variable = "BASISBOT_CONTRACT_LEVERAGE" if differs else "BASISBOT_LIMITS__LEVERAGE_MAX"
        text = f"{unfit.value}×, but {variable} is {unfit.limit}: set it at the venue, or the variable"
        return [Finding(check, FAILED, text)]
    if mode is None:
        return [Finding(check, WARNED, f"{leverage}×; whether margin is cross, as it must be: {_LOOK}")]
    return [Finding(check, OK, f"{mode}, {leverage}×")]


# --- the legs ---------------------------------------------------------------------------------------------


async def _listed(exchange: Exchange, leg: InstrumentId) -> Answer:
    """Nothing is found where the exchange lists it.  Raises `FeedError`."""
    find_market(exchange, leg)
    return []


async def _instrument(patient: Patient, exchange: Exchange, name: InstrumentId, clock: Clock) -> Answer:
    """Listed, trading, wholly described, priced, and able to carry a clip."""
    leg = await read_leg(exchange, name, patient.given)
    one, clip = leg.instrument, patient.config.strategy.clip_quote
    check_tiers(leg)
    needed = max(one.notional_min, one.contract_size if one.inverse else one.notional_min)
    fees = "/".join(f"{float(rate) * 1e4:g}" for rate in (one.maker_rate, one.taker_rate))
    text = f"fees {fees} bps, smallest order {needed} {one.quote}"
    check = f"instrument {name}"
    if status_of(leg) != TRADING:
        found = [Finding(check, WARNED, f"{leg.symbol} does not trade now: it is held until it does")]
    elif clip < needed:
        found = [Finding(check, FAILED, f"BASISBOT_STRATEGY__CLIP_QUOTE={clip} is below the {text}")]
    else:
        found = [Finding(check, OK, text)]
    if one.is_spot:
        if patient.access.credentials:
            found.append(Finding(f"fee asset {name}", WARNED, FEE_ASSET_UNKNOWN))
        return found
    found += await _asked(f"prices {name}", _prices(patient, exchange, leg, clock))
    if patient.access.credentials:
        found += await _asked(f"leverage {name}", _leverage(patient, exchange, leg))
    return found


async def _prices(patient: Patient, exchange: Exchange, leg: Leg, clock: Clock) -> Answer:
    check, told = f"prices {leg.id}", await read_prices(exchange, leg, clock.now_ns())
    lacking = [name for name, price in (("mark", told.mark), ("index", told.index)) if price is None]
    if not lacking:
        return [Finding(check, OK, f"mark {told.mark}, index {told.index}")]
    text, reference = f"ccxt tells no {' and no '.join(lacking)} price", patient.config.paper_reference
    if reference == "none":
        text += ", without which nothing is opened; BASISBOT_PAPER_REFERENCE names what may stand in"
        return [Finding(check, FAILED, text)]
    return [Finding(check, WARNED, f"{text}: the {reference} stands in (BASISBOT_PAPER_REFERENCE)")]
