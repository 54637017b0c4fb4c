"""What Binance says of an account before it is traded: clock, key, modes, leverage, fees, filters, budget.

Every answer becomes a `Finding`; a question that was not answered is one too, since what could not be checked
is not known to be right.  Nothing here changes anything at the venue: what is wrong is for a person to set
right, and the sentence says what.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from msgspec import Struct

from adapters.binance import requests, statements
from adapters.binance.configured import read_contracts, read_modes
from adapters.binance.decoding import Drift
from adapters.binance.outcomes import Outcome
from adapters.binance.reference import Described, Given, measure_offset_ns, read_market
from adapters.binance.rest import Refused, Rest
from adapters.errors import FeedError
from adapters.network import Unanswered, Unsent
from bot.model.config import Config
from bot.model.facts import ContractSet
from bot.model.ids import InstrumentId, market_of, symbol_of
from bot.model.instrument import Instrument, unlike
from bot.model.venue_settings import account_unfit, contract_unfit
from bot.ports import FEE_ASSET_UNKNOWN, Finding, Verdict

MS = 1_000_000
OK, WARNED, FAILED, SKIPPED = Verdict
TRADING = "TRADING"
_PASSING = frozenset({Outcome.UNKNOWN, Outcome.BUSY, Outcome.THROTTLED})

# What this adapter can do on each market, for a person who chooses one.
CAPABILITIES: Mapping[str, str] = {
    "spot": "books, taker and maker orders by WebSocket API and REST, private events, fills by trade id",
    "usdm": "books, marks, funding, taker and maker orders by WebSocket API and REST, private events, income",
    "coinm": "as usdm, and the index as a stream of its own",
}

Answer = list[Finding]


class Patient(Struct, frozen=True):
    """Whom to examine.  ``rests`` has an entry for each market of ``legs``; ``restrictions_by`` is the spot
    market's, where the key's own permissions are told, ``None`` where the network does not tell them."""

    legs: tuple[InstrumentId, ...]
    config: Config
    rests: Mapping[str, Rest]
    restrictions_by: Rest | None


async def checkup(patient: Patient) -> tuple[Finding, ...]:
    """Every check, in the order in which a person would set things right."""
    found: Answer = []
    for market, rest in patient.rests.items():
        found += await _asked(f"clock {market}", _clock(patient, rest))
    key = await _asked("key", _key(patient))
    found += key
    if any(one.check == "key" and one.verdict is FAILED for one in key):
        return tuple(found)  # every other question would be refused for the same reason
    known: dict[InstrumentId, Instrument] = {}
    for market, rest in patient.rests.items():
        legs = tuple(leg for leg in patient.legs if market_of(leg) == market)
        found += await _asked(f"instruments {market}", _instruments(patient, rest, legs, known))
        if market != "spot":
            found += await _asked(f"account modes {market}", _modes(rest))
            found += await _asked(f"leverage {market}", _leverage(patient, rest, legs))
        found.append(Finding(f"capability {market}", OK, CAPABILITIES[market]))
        found.append(_budget(rest))
    return (*found, *_hedges(patient.config, known))


async def _asked(check: str, question: Coroutine[Any, Any, Answer]) -> Answer:
    """The findings of one question; one that was not answered failed."""
    try:
        return await question
    except Refused as refused:
        text = f"the venue refuses: {refused.failure.code} {refused.failure.text}"
        may_pass = refused.outcome in _PASSING
        return [Finding(check, FAILED, text + _advice(refused.failure.code), may_pass)]
    except (Unsent, Unanswered) as silence:
        text = f"no answer: {silence}; look after the network and the host in use"
        return [Finding(check, FAILED, text, may_pass=True)]
    except Drift as drift:
        return [Finding(check, FAILED, f"the answer is not as documented: {drift}")]
    except FeedError as unusable:
        return [Finding(check, FAILED, str(unusable))]


def _advice(code: int) -> str:
    match code:
        case -2014 | -1022:
            return "; set BASISBOT_BINANCE_KEY and BASISBOT_BINANCE_SECRET to one pair of the venue's"
        case -2015:
            return "; the key is wrong, lacks this permission, or is bound to another address"
        case -1021:
            return "; set this machine's clock by NTP"
        case _:
            return ""


async def _clock(patient: Patient, rest: Rest) -> Answer:
    offset_ns = await measure_offset_ns(rest)
    rest.clock.offset_ns = offset_ns  # signed questions after this one are asked by the venue's time
    limit_ms = patient.config.limits.clock_offset_max_ms
    text = f"this machine is {-offset_ns / MS:+.0f} ms from the venue, {limit_ms:g} ms are allowed"
    verdict = OK if abs(offset_ns) <= limit_ms * MS else FAILED
    return [Finding(f"clock {rest.market}", verdict, text)]


async def _key(patient: Patient) -> Answer:
    rest = patient.restrictions_by
    if rest is None:
        return [Finding("key", SKIPPED, "this network does not tell what a key may do")]
    may = statements.restrictions(await rest.read(requests.api_restrictions()))
    markets = {market_of(leg) for leg in patient.legs}
    found = [
        Finding("key withdrawal", FAILED, "the key may withdraw: make one that may not, and delete this one")
        if may.may_withdraw
        else Finding("key withdrawal", OK, "the key may not withdraw")
    ]
    needs = {"read": may.may_read}
    if "spot" in markets:
        needs["trade spot"] = may.may_trade_spot
    if markets - {"spot"}:
        needs["trade futures"] = may.may_trade_futures
    lacking = [what for what, allowed in needs.items() if not allowed]
    if lacking:
        text = f"the key may not {', '.join(lacking)}: allow it in the venue's key settings"
        found.append(Finding("key permissions", FAILED, text))
    else:
        found.append(Finding("key permissions", OK, f"the key may {', '.join(needs)}"))
    if not may.ip_restricted:
        found.append(Finding("key address", WARNED, "the key works from any address: bind it to this one"))
    return found


async def _instruments(
    patient: Patient, rest: Rest, legs: tuple[InstrumentId, ...], known: dict[InstrumentId, Instrument]
) -> Answer:
    """Listed, trading, and able to carry a clip; with the fees that this account pays.  What is listed is
    added to ``known``."""
    described = await read_market(rest, legs, Given())
    known.update(described.instruments)
    found = [_instrument(patient, described, leg) for leg in legs]
    if rest.market == "spot":
        found += [fee_asset(leg, described.fee_coins.get(leg)) for leg in described.instruments]
    return found


def _instrument(patient: Patient, described: Described, leg: InstrumentId) -> Finding:
    check = f"instrument {leg}"
    one = described.instruments.get(leg)
    if leg in described.refused:
        return Finding(check, WARNED, f"it is held: {described.refused[leg]}")
    if one is None:
        return Finding(check, FAILED, f"{symbol_of(leg)} is not listed there; correct BASISBOT_PAIRS")
    status = described.statuses.get(leg, TRADING)
    if status != TRADING:
        # a run that holds it must be able to start again; nothing is opened meanwhile
        return Finding(check, WARNED, f"{symbol_of(leg)} is {status}, not {TRADING}: it is held until then")
    clip = patient.config.strategy.clip_quote
    needed = one.contract_size if one.inverse else one.notional_min
    text = f"fees {_bps(one, maker=True)}/{_bps(one, maker=False)} bps, smallest order {needed} {one.quote}"
    if clip < needed:
        return Finding(check, FAILED, f"BASISBOT_STRATEGY__CLIP_QUOTE={clip} is below the {text}")
    return Finding(check, OK, text)


def fee_asset(leg: InstrumentId, coin: str | None) -> Finding:
    """What fees are paid in, which a purchase is sized with."""
    check = f"fee asset {leg}"
    if coin is None:
        return Finding(check, WARNED, FEE_ASSET_UNKNOWN)
    if coin:
        return Finding(check, OK, f"fees are paid from {coin} while the account holds some: keep some")
    return Finding(check, OK, "fees are paid in what is received")


def _hedges(config: Config, known: Mapping[InstrumentId, Instrument]) -> Answer:
    """Pairs whose legs are of two coins: neither hedges the other."""
    pairs = [pair for pair in config.pairs if pair.long in known and pair.short in known]
    return [
        Finding(f"pair {pair.name}", FAILED, f"{what}: correct BASISBOT_PAIRS")
        for pair in pairs
        if (what := unlike(known[pair.long], known[pair.short]))
    ]


def _bps(instrument: Instrument, maker: bool) -> str:
    rate = instrument.maker_rate if maker else instrument.taker_rate
    return f"{float(rate) * 1e4:g}"


async def _modes(rest: Rest) -> Answer:
    """Position and asset mode as the venue has them."""
    stands = await read_modes(rest)
    unfit = {one.code for one in account_unfit(stands.is_hedged, stands.is_multi_assets)}
    positions, assets = f"position mode {rest.market}", f"assets mode {rest.market}"
    if "hedge_mode" in unfit:
        text = "the account is in hedge mode: set the position mode to one-way"
        found = [Finding(positions, FAILED, text)]
    else:
        found = [Finding(positions, OK, "one-way")]
    if "multi_assets" in unfit:
        text = "the account is in multi-assets mode, where one asset pays for another: set single-asset mode"
        found.append(Finding(assets, FAILED, text))
    elif rest.market == "usdm":
        found.append(Finding(assets, OK, "single-asset"))
    return found


async def _leverage(patient: Patient, rest: Rest, legs: tuple[InstrumentId, ...]) -> Answer:
    """Margin mode and leverage as the venue has them, against what the settings count on."""
    contracts = await read_contracts(rest)
    return [_contract(patient.config, f"leverage {leg}", contracts.get(leg)) for leg in legs]


def _contract(config: Config, check: str, stands: ContractSet | None) -> Finding:
    if stands is None:
        return Finding(check, FAILED, "the venue does not tell margin mode and leverage of it")
    unfit = contract_unfit(config, stands.leverage, stands.is_cross)
    if unfit is None:
        return Finding(check, OK, f"cross, {stands.leverage}×")
    match unfit.code:
        case "isolated_margin":
            text = "the margin mode is isolated: set it to cross"
        case "leverage_differs":
            text = f"{unfit.value}×, but BASISBOT_CONTRACT_LEVERAGE is {unfit.limit}: set one as the other"
        case _:
            variable = f"BASISBOT_LIMITS__LEVERAGE_MAX={unfit.limit}"
            text = f"{unfit.value}× is below {variable}: raise it at the venue"
    return Finding(check, FAILED, text)


def _budget(rest: Rest) -> Finding:
    """How much of the address's request weight is in use, ours and that of others who share it."""
    told = {"rate_used_count": "", "rate_limit_count": ""}
    for each in rest.budget.readings(rest.clock.venue_ns()):
        if each.name in told and each.labels.get("kind") == "request_weight":
            told[each.name] = f"{each.value:g}"
    check, (used, limit) = f"rate budget {rest.market}", told.values()
    if not limit:
        return Finding(check, FAILED, "the venue tells no limit of request weight", may_pass=True)
    return Finding(check, OK, f"{used} of {limit} request weight in use")
