"""What the doctor asks of Binance, where only another venue could give the answer that is wanted."""

from __future__ import annotations

import asyncio

import pytest

from adapters.binance.checkup import Patient, checkup, fee_asset
from adapters.binance.endpoints import Hosts
from adapters.binance.rest import Access, Rest, VenueClock
from adapters.binance.signing import signer
from adapters.paper.terms import Terms
from adapters.ratelimit import RateBudget
from adapters.recorded.frames import Feed
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import make_keys
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.ports import Finding, Verdict
from bot.shell.clock import LiveClock
from tests.adapters.paper.build import BALANCES, LINEAR, SPOT, make_config
from tests.rehearsal.rehearsed import START_NS, StillRecording, descriptions
from tests.virtual.loop import run_virtual
from tests.virtual.network import MemoryNetwork


async def examined(coin: str) -> tuple[Finding, ...]:
    """A venue whose perpetual is of ``coin``, looked at by the settings' pair."""
    clock = LiveClock(START_NS, asyncio.get_running_loop().time)
    sources = [
        (market, text.replace(b'"baseAsset": "BTC"', b'"baseAsset": "%b"' % coin.encode(), market == "usdm"))
        for market, text in descriptions()
    ]
    feeds = [Feed(f"binance:{name}", name, "still", 0, StillRecording(name)) for name in ("spot", "usdm")]
    world = World(feeds, sources, Terms(balances=BALANCES, reference="mid"), clock)
    keys = make_keys(b"a rehearsal of the doctor")
    network = MemoryNetwork(doors(world, Teller(world, keys)))
    access = Access(signer(keys.api_key, keys.secret), 5000)
    rests = {
        name: Rest(
            name,
            Hosts(f"http://{name}", f"ws://{name}", f"ws://{name}"),
            network,
            VenueClock(clock),
            RateBudget(name),
            access,
        )
        for name in ("spot", "usdm")
    }
    return await checkup(Patient((SPOT.id, LINEAR.id), make_config(), rests, None))


@pytest.mark.parametrize(
    ("coin", "expected"),
    [
        ("BTC", []),
        ("ETH", [Finding("pair BTC", Verdict.FAILED, "its legs are of BTC and ETH: correct BASISBOT_PAIRS")]),
    ],
)
def test_a_pair_of_two_coins_fails(coin: str, expected: list[Finding]) -> None:
    found = run_virtual(examined(coin))
    assert [one for one in found if one.check == "pair BTC"] == expected
    (fees,) = [one for one in found if one.check.startswith("fee asset")]
    assert (fees.check, fees.verdict) == (f"fee asset {SPOT.id}", Verdict.OK)
    assert fees.text == "fees are paid in what is received"


@pytest.mark.parametrize(
    ("coin", "verdict", "words"),
    [("BNB", Verdict.OK, "paid from BNB"), (None, Verdict.WARNED, "the first purchase shows it")],
)
def test_what_fees_are_paid_in_is_told_and_what_cannot_be_known_is_said(
    coin: str | None, verdict: Verdict, words: str
) -> None:
    found = fee_asset(SPOT.id, coin)
    assert (found.check, found.verdict) == (f"fee asset {SPOT.id}", verdict)
    assert words in found.text
