"""One wallet at one moment, at a venue whose answers straddle changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest

from adapters.binance.account import ATTEMPTS, AccountAnswers
from adapters.binance.payments import KEPT_NS
from adapters.network import Reply, Unanswered
from bot.model.commands import QueryAccount
from bot.model.facts import AccountReported, HistoryGapped, ProtocolDrift, Transferred
from tests.adapters.binance.canned import NOW_NS, Asked, Bench, refusal, reply
from tests.adapters.paper.build import LINEAR
from tests.virtual.loop import run_virtual

QUERY = QueryAccount(LINEAR.account)
DAY_NS = 86_400_000_000_000


def wallet(amount: str) -> Reply:
    return reply({"assets": [{"asset": "USDT", "walletBalance": amount, "updateTime": 1}], "positions": []})


def position(side: str = "BOTH", symbol: str = "BTCUSDT") -> dict[str, object]:
    return {
        "symbol": symbol,
        "positionSide": side,
        "positionAmt": "0.5",
        "entryPrice": "60000.0",
        "markPrice": "60100.00000000",
        "unRealizedProfit": "50.00000000",
        "updateTime": 1,
    }


def income(kind: str, amount: str, number: int, at_ns: int, symbol: str = "") -> dict[str, object]:
    return {
        "symbol": symbol,
        "incomeType": kind,
        "income": amount,
        "asset": "USDT",
        "time": at_ns // 1_000_000,
        "tranId": number,
        "tradeId": "",
    }


class Venue:
    """Its wallet takes the next value at each question; the other answers stand."""

    def __init__(self, *balances: str, **answers: Reply | Exception) -> None:
        self.balances = list(balances)
        self.answers: Mapping[str, Reply | Exception] = answers
        self.asked: list[str] = []

    def __call__(self, asked: Asked) -> Reply | Exception:
        name = asked[1].rsplit("/", 1)[1]
        self.asked.append(name)
        if name == "account":
            balance = self.balances.pop(0) if len(self.balances) > 1 else self.balances[0]
            return wallet(balance)
        return self.answers.get(name, reply([]))


def answer(
    venue: Venue, query: QueryAccount = QUERY, meanwhile: Callable[[Bench], None] = lambda bench: None
) -> Bench:
    async def scene() -> Bench:
        bench = Bench("usdm", venue)
        asking = asyncio.ensure_future(AccountAnswers(bench.account).answer(query))
        await asyncio.sleep(0.0025)
        meanwhile(bench)
        await asking
        return bench

    return run_virtual(scene())


def test_everything_is_told_as_of_one_moment() -> None:
    (report,) = answer(Venue("100.5", positionRisk=reply([position()]))).facts
    assert isinstance(report, AccountReported)
    assert report.balances == {"USDT": Decimal("100.5")}
    (held,) = report.positions
    assert (held.qty, held.cost) == (Decimal("0.5"), Decimal(30_000))
    assert NOW_NS <= report.venue_ns < NOW_NS + 1_000_000


def test_a_wallet_that_changes_in_between_is_asked_again() -> None:
    venue = Venue("100", "99", "99")
    (report,) = answer(venue).facts
    assert isinstance(report, AccountReported)
    assert report.balances == {"USDT": Decimal(99)}
    assert venue.asked.count("account") == 4


def test_a_wallet_that_never_stands_still_is_not_told() -> None:
    venue = Venue(*(str(number) for number in range(100)))
    assert answer(venue).facts == []
    assert venue.asked.count("account") == 2 * ATTEMPTS


def test_an_event_in_between_is_a_change() -> None:
    venue = Venue("100")

    def hear(bench: Bench) -> None:
        bench.told.revision += 1

    assert len(answer(venue, meanwhile=hear).facts) == 1
    assert venue.asked.count("account") == 4


@pytest.mark.parametrize("failed", ["positionRisk", "openOrders", "openAlgoOrders"])
@pytest.mark.parametrize("said", [Unanswered("reset"), refusal(-1001, "disconnected", 500)])
def test_a_part_that_is_missing_leaves_the_whole_untold(failed: str, said: Reply | Exception) -> None:
    assert answer(Venue("100", **{failed: said})).facts == []


def test_hedge_mode_is_refused_by_name() -> None:
    (drift,) = answer(Venue("100", positionRisk=reply([position("LONG")]))).facts
    assert isinstance(drift, ProtocolDrift)
    assert "hedge mode" in drift.reason


def test_contracts_that_are_not_traded_here_are_left_out() -> None:
    (report,) = answer(Venue("100", positionRisk=reply([position(symbol="ETHUSDT")]))).facts
    assert isinstance(report, AccountReported)
    assert report.positions == ()


def test_payments_are_told_from_the_time_asked_for() -> None:
    since_ns = NOW_NS - 10 * DAY_NS
    rows = [income("TRANSFER", "5", 1, since_ns), income("COMMISSION", "-1", 2, since_ns, "BTCUSDT")]
    rows.append(income("REALIZED_PNL", "-2", 3, since_ns, "ETHUSDT"))
    venue = Venue("100", income=reply(rows))
    bench = answer(venue, QueryAccount(LINEAR.account, since_ns=since_ns))
    moved = [fact for fact in bench.facts if isinstance(fact, Transferred)]
    assert [fact.amount for fact in moved] == [Decimal(5), Decimal(-2)]  # a stranger's profit moves ours
    assert isinstance(bench.facts[-1], AccountReported)
    assert venue.asked.count("income") == 2  # a week at a time


def test_a_first_report_holds_what_was_paid_before_it() -> None:
    venue = Venue("100", income=reply([income("TRANSFER", "5", 1, NOW_NS - DAY_NS)]))
    assert [type(fact) for fact in answer(venue).facts] == [AccountReported]


def test_what_the_venue_keeps_no_more_is_told_as_a_gap() -> None:
    bench = answer(Venue("100"), QueryAccount(LINEAR.account, since_ns=NOW_NS - 120 * DAY_NS))
    (gap, _) = bench.facts
    assert isinstance(gap, HistoryGapped)
    assert gap.from_ns == NOW_NS - 120 * DAY_NS
    assert abs(gap.until_ns - (NOW_NS - KEPT_NS)) < 1_000_000_000


def test_funding_whose_rate_is_not_listed_yet_leaves_the_report_untold() -> None:
    row = income("FUNDING_FEE", "-1", 1, NOW_NS - 1_000_000_000, "BTCUSDT")
    bench = answer(Venue("100", income=reply([row])), QueryAccount(LINEAR.account, since_ns=NOW_NS - DAY_NS))
    assert [type(fact) for fact in bench.facts] == [ProtocolDrift]


def test_an_account_is_asked_once_at_a_time() -> None:
    async def scene() -> Bench:
        bench = Bench("usdm", Venue("100"))
        answers = AccountAnswers(bench.account)
        await asyncio.gather(*(answers.answer(QUERY) for _ in range(5)))
        return bench

    bench = run_virtual(scene())
    assert len(bench.facts) == 1
    assert len(bench.network.asked) == 5
