"""What the doctor finds at an exchange through ccxt, asked over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from adapters.ccxt.checkup import RIGHTS, Patient, checkup
from adapters.ccxt.exchange import Access
from adapters.ccxt.reference import Given
from bot.model.ids import InstrumentId
from bot.ports import Finding, Verdict
from tests.adapters.paper.build import make_config
from tests.rehearsal.ccxt_rehearsed import CcxtRehearsed, reach
from tests.rehearsal.stock import stock
from tests.rehearsal.venue import Venue, WallClock, served

LINEAR = CcxtRehearsed.linear.id
INVERSE = CcxtRehearsed.inverse.id
SPOT = CcxtRehearsed.spot.id


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with served() as venue:
        yield venue


def keys(venue: Venue, **changes: str) -> dict[str, str]:
    return {"apiKey": venue.said["api_key"], "secret": venue.said["secret"], **changes}


def examined(venue: Venue, *legs: InstrumentId, **changes: Any) -> dict[str, Finding]:
    """The findings by their check; ``changes`` are of the credentials, the settings or what is given."""
    given = changes.pop("given", Given())
    credentials = changes.pop("credentials", keys(venue))
    access = reach(legs[0].split(":")[0], venue.said, credentials)
    patient = Patient(access=access, legs=legs, config=make_config(**changes), given=given)
    return {one.check: one for one in asyncio.run(checkup(patient, WallClock()))}


@pytest.mark.parametrize(
    "legs", [(SPOT,), (LINEAR,), (INVERSE,), (SPOT, InstrumentId("binance:linear:BTCUSDT"))]
)
def test_a_sound_account_passes(venue: Venue, legs: tuple[InstrumentId, ...]) -> None:
    name = legs[0].split(":")[0]
    found = examined(venue, *legs)
    doubtful = {check for check, one in found.items() if one.verdict is not Verdict.OK}
    assert doubtful == {f"fee asset {SPOT}"} & {f"fee asset {leg}" for leg in legs}, found
    asked = {f"capability {name}", f"clock {name}", f"markets {name}", f"key withdrawal {name}"}
    asked |= {f"rate budget {name}", f"hosts {name}", *(f"instrument {leg}" for leg in legs)}
    for leg in legs:
        if ":spot:" not in leg:
            asked |= {f"leverage {leg}", f"prices {leg}", f"position mode {leg.rpartition(':')[0]}"}
    assert asked <= set(found)


def test_without_a_key_only_the_public_side_is_examined(venue: Venue) -> None:
    given = Given(tiers={LINEAR: CcxtRehearsed.linear.brackets})
    found = examined(venue, LINEAR, credentials={}, given=given)
    assert {check for check, one in found.items() if one.verdict is not Verdict.OK} == {"key binanceusdm"}
    assert found["key binanceusdm"].verdict is Verdict.SKIPPED
    assert not [check for check in found if check.startswith(("leverage", "position mode"))]
    (lacking,) = [
        one for one in examined(venue, LINEAR, credentials={}).values() if one.verdict is Verdict.FAILED
    ]
    assert (lacking.check, "leverageTiers" in lacking.text) == (f"instrument {LINEAR}", True)


@pytest.mark.parametrize("wrong", [{"secret": "0" * 64}, {"apiKey": "nobody"}], ids=["secret", "key"])
@pytest.mark.parametrize("leg", [SPOT, LINEAR])
def test_a_wrong_key_fails_and_says_what_to_set(
    venue: Venue, leg: InstrumentId, wrong: dict[str, str]
) -> None:
    found = examined(venue, leg, credentials=keys(venue, **wrong))
    failed = [one for one in found.values() if one.verdict is Verdict.FAILED]
    assert failed
    for one in failed:
        assert "BASISBOT_CCXT_CREDENTIALS" in one.text
        assert not one.may_pass
        assert "signature=" not in one.text


def test_an_account_that_is_set_otherwise_fails() -> None:
    async def set_otherwise(said: Mapping[str, str]) -> None:
        exchange = stock("async_support", "binanceusdm", said)
        try:
            await exchange.set_position_mode(True)
            await exchange.set_leverage(2, "BTC/USDT:USDT")
        finally:
            await exchange.close()

    with served() as venue:
        leverage, mode = f"leverage {LINEAR}", "position mode binanceusdm:linear"
        own = examined(venue, LINEAR, contract_leverage=7)[leverage]
        assert (own.verdict, "BASISBOT_CONTRACT_LEVERAGE is 7" in own.text) == (Verdict.FAILED, True)
        asyncio.run(set_otherwise(venue.said))
        found = examined(venue, LINEAR)
        failed = {check: one.text for check, one in found.items() if one.verdict is Verdict.FAILED}
        assert set(failed) == {mode, leverage}
        assert "hedge mode" in failed[mode]
        assert failed[leverage].startswith("2×, but BASISBOT_LIMITS__LEVERAGE_MAX is 3")


@pytest.mark.parametrize("leg", [SPOT, LINEAR])
def test_a_key_that_may_withdraw_fails(leg: InstrumentId) -> None:
    with served() as venue:
        venue.teller.gate.permissions.withdrawals = True
        found = examined(venue, leg)[f"key withdrawal {leg.split(':')[0]}"]
        assert (found.verdict, "may withdraw" in found.text) == (Verdict.FAILED, True)


@pytest.mark.parametrize(("words", "may"), [("read_only,trade,withdraw", True), ("read_only,trade", False)])
def test_okx_states_a_keys_rights_as_words(words: str, may: bool) -> None:
    assert RIGHTS["okx"].may_withdraw({"code": "0", "data": [{"perm": words}]}) is may


def test_isolated_margin_fails() -> None:
    async def isolate(said: Mapping[str, str]) -> None:
        exchange = stock("async_support", "binanceusdm", said)
        try:
            await exchange.set_margin_mode("isolated", "BTC/USDT:USDT")
        finally:
            await exchange.close()

    with served() as venue:
        asyncio.run(isolate(venue.said))
        found = examined(venue, LINEAR)[f"leverage {LINEAR}"]
        assert (found.verdict, "isolated" in found.text) == (Verdict.FAILED, True)


def test_a_host_that_cannot_be_reached_fails_and_may_pass(venue: Venue) -> None:
    access = reach("binanceusdm", dict.fromkeys(venue.said, "http://127.0.0.1:9"), {})
    patient = Patient(access=access, legs=(LINEAR,), config=make_config())
    found = asyncio.run(checkup(patient, WallClock()))
    failed = [one for one in found if one.verdict is Verdict.FAILED]
    assert [one.check for one in failed] == ["clock binanceusdm", "markets binanceusdm"]
    assert all(one.may_pass for one in failed)


def test_an_exchange_that_cannot_trade_is_for_paper() -> None:
    leg = InstrumentId("kraken:spot:XXBTZUSD")
    access = Access(name="kraken", credentials={"apiKey": "k", "secret": "s"}, allow_remote=False)
    first, *more = asyncio.run(
        checkup(Patient(access=access, legs=(leg,), config=make_config()), WallClock())
    )
    assert (first.check, first.verdict) == ("capability kraken", Verdict.FAILED)
    assert "trade it on paper" in first.text
    # hosts beyond this machine are fenced off here, and that is a finding too
    assert {one.verdict for one in more if "api.kraken.com" in one.text} == {Verdict.FAILED}


def test_a_misspelt_leg_and_a_clip_that_is_too_small_fail(venue: Venue) -> None:
    gone = InstrumentId("binanceusdm:linear:NONEUSDT")
    found = examined(venue, gone)
    assert (found[f"instrument {gone}"].verdict, "key binanceusdm:linear" in found) == (Verdict.FAILED, False)
    config = make_config()
    strategy = msgspec.structs.replace(config.strategy, clip_quote=config.strategy.clip_quote * 0 + 1)
    small = examined(venue, LINEAR, strategy=strategy)[f"instrument {LINEAR}"]
    assert small.verdict is Verdict.FAILED
    assert "BASISBOT_STRATEGY__CLIP_QUOTE=1" in small.text
