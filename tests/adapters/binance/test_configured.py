"""How an account is set, told once and again when it has changed, whoever hints at it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from adapters.binance.decoding import Drift
from adapters.binance.events import event
from adapters.binance.private import Hearing
from adapters.network import Reply, Unanswered
from bot.model.facts import AccountSet, AnyFact, ContractSet
from tests.adapters.binance.canned import JSON, Asked, Bench, refusal, reply
from tests.adapters.paper.build import INVERSE, LINEAR, SPOT
from tests.virtual.loop import run_virtual

LEVERAGE = b'{"e":"ACCOUNT_CONFIG_UPDATE","E":1795168800124,"T":1795168800123,"ac":{"s":"BTCUSDT","l":2}}'
MARGIN = (
    b'{"e":"ACCOUNT_UPDATE","E":1795168800124,"T":1795168800123,'
    b'"a":{"m":"MARGIN_TYPE_CHANGE","B":[],"P":[{"s":"BTCUSDT","pa":"0","ep":"0","ps":"BOTH"}]}}'
)


class Settings:
    """The venue's answers, which a test changes; ``failures`` come before them."""

    def __init__(self, leverage: object = 20, margin: str = "CROSSED", hedge: bool = False) -> None:
        self.leverage, self.margin, self.hedge, self.multi = leverage, margin, hedge, False
        self.failures: list[Reply | Exception] = []
        self.symbol = "BTCUSDT"

    def __call__(self, asked: Asked) -> Reply | Exception:
        if self.failures:
            return self.failures.pop(0)
        row: Mapping[str, object] = {
            "symbol": self.symbol, "marginType": self.margin, "leverage": self.leverage,
            "positionAmt": "0", "entryPrice": "0", "markPrice": "0", "unRealizedProfit": "0",
            "positionSide": "BOTH", "updateTime": 0,
        }  # fmt: skip
        bodies: dict[str, JSON] = {
            "dual": {"dualSidePosition": self.hedge},
            "multiAssetsMargin": {"multiAssetsMargin": self.multi},
            "symbolConfig": [row],
            "positionRisk": [row],
        }
        return reply(bodies[asked[1].rsplit("/", 1)[1]])


def told(facts: list[AnyFact]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for fact in facts:
        if isinstance(fact, AccountSet):
            found.append((fact.account, fact.is_hedged, fact.is_multi_assets))
        elif isinstance(fact, ContractSet):
            found.append((fact.instrument, fact.leverage, fact.is_cross))
    facts.clear()
    return found


def test_all_is_told_once_and_then_what_has_changed() -> None:
    async def scene() -> None:
        venue = Settings()
        bench = Bench("usdm", venue)
        await bench.configured.read()
        assert told(bench.facts) == [(LINEAR.account, False, False), (LINEAR.id, 20, True)]
        await bench.configured.read()
        assert told(bench.facts) == []
        venue.margin = "ISOLATED"
        await bench.configured.read()
        assert told(bench.facts) == [(LINEAR.id, 20, False)]
        venue.hedge = venue.multi = True
        await bench.configured.read()
        assert told(bench.facts) == [(LINEAR.account, True, True)]
        venue.symbol = "ETHUSDT"
        await bench.configured.read()
        assert told(bench.facts) == [(LINEAR.id, 0, True)]  # the venue states none for ours

    run_virtual(scene())


def test_coin_margined_contracts_state_it_with_their_positions() -> None:
    async def scene() -> None:
        venue = Settings("20", "isolated")
        venue.symbol = "BTCUSD_PERP"
        bench = Bench("coinm", venue)
        await bench.configured.read()
        assert told(bench.facts) == [(INVERSE.account, False, False), (INVERSE.id, 20, False)]

    run_virtual(scene())


def test_spot_has_nothing_to_set() -> None:
    bench = Bench("spot", Settings())
    run_virtual(bench.configured.read())
    assert (bench.facts, bench.network.asked) == ([], [])
    assert SPOT.is_spot


def test_a_row_that_cannot_be_read_states_no_leverage_and_changes_none() -> None:
    async def scene() -> None:
        venue = Settings()
        venue.leverage = "many"
        fresh, known = Bench("usdm", venue), Bench("usdm", Settings())
        await fresh.configured.read()
        assert fresh.names() == ["ProtocolDrift", "AccountSet", "ContractSet"]
        assert told(fresh.facts[1:])[1] == (LINEAR.id, 0, True)
        await known.configured.read()
        known.facts.clear()
        known.network.answers = venue
        await known.configured.read()
        assert known.names() == ["ProtocolDrift"]

    run_virtual(scene())


def test_half_an_answer_tells_nothing() -> None:
    async def scene() -> None:
        bench = Bench("usdm", Settings())

        def half(asked: Asked) -> Reply | Exception:
            return reply({"no": "list"}) if asked[1].endswith("/symbolConfig") else Settings()(asked)

        bench.network.answers = half
        with pytest.raises(Drift):
            await bench.configured.read()
        assert bench.facts == []

    run_virtual(scene())


@pytest.mark.parametrize("payload", [LEVERAGE, MARGIN])
def test_an_event_has_it_read_once_however_often_it_comes(payload: bytes) -> None:
    async def scene() -> None:
        venue = Settings(leverage=2)
        bench = Bench("usdm", venue)
        hearing = Hearing(bench.account)
        for _ in range(3):
            hearing.hear(event("usdm", payload))
        await asyncio.sleep(1.0)
        assert told(bench.facts) == [(LINEAR.account, False, False), (LINEAR.id, 2, True)]
        assert len(bench.network.asked) == 3
        assert not bench.payments.sought  # nobody waits for a payment that will never be listed
        venue.leverage = 20
        hearing.hear(event("usdm", payload))
        await asyncio.sleep(1.0)
        assert told(bench.facts) == [(LINEAR.id, 20, True)]

    run_virtual(scene())


def test_what_is_not_answered_is_asked_again_and_given_up_in_the_end() -> None:
    async def scene() -> None:
        venue = Settings()
        bench = Bench("usdm", venue)
        venue.failures = [refusal(-1001, "disconnected", 500), Unanswered("reset")] * 8
        bench.configured.due()
        await asyncio.sleep(300.0)
        tried = len(bench.network.asked)
        assert bench.facts == []
        venue.failures.clear()
        await asyncio.sleep(300.0)
        assert len(bench.network.asked) == tried
        bench.configured.due()
        await asyncio.sleep(1.0)
        assert len(told(bench.facts)) == 2

    run_virtual(scene())
