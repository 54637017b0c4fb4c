"""One wallet at one moment, at a venue whose answers straddle changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec
import pytest

from adapters.binance.account import ATTEMPTS, AccountAnswers
from adapters.binance.payments import KEPT_NS
from adapters.network import Reply, Unanswered
from bot.model.commands import QueryAccount
from bot.model.facts import AccountReported, HistoryGapped, ProtocolDrift, Transferred, VenueReset
from tests.adapters.binance.canned import NOW_NS, Answers, Asked, Bench, refusal, reply
from tests.adapters.paper.build import LINEAR, SPOT
from tests.virtual.loop import run_virtual

QUERY = QueryAccount(LINEAR.account)
SETTINGS: dict[str, dict[str, object] | list[object]] = {
    "dual": {"dualSidePosition": False},
    "multiAssetsMargin": {"multiAssetsMargin": False},
    "symbolConfig": [{"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 5}],
}
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
        if name not in self.answers and name in SETTINGS:
            return reply(SETTINGS[name])
        return self.answers.get(name, reply([]))


async def set_up(answers: Answers) -> Bench:
    """Over an account whose settings were told before."""
    bench = Bench("usdm", answers)
    await bench.configured.read()
    bench.facts.clear()
    return bench


def answer(
    venue: Venue, query: QueryAccount = QUERY, meanwhile: Callable[[Bench], None] = lambda bench: None
) -> Bench:
    async def scene() -> Bench:
        bench = await set_up(venue)
        asking = asyncio.ensure_future(AccountAnswers(bench.account).answer(query))
        await asyncio.sleep(0.0055)
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
    assert NOW_NS <= report.venue_ns < NOW_NS + 7_000_000  # twice it was asked how the account is set


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
    drift, report = answer(Venue("100", positionRisk=reply([position("LONG")]))).facts
    assert isinstance(drift, ProtocolDrift)
    assert "hedge mode" in drift.reason
    assert isinstance(report, AccountReported)
    assert (report.unread_rows, report.unread) == (1, (LINEAR.id,))


def test_contracts_that_are_not_traded_here_are_told_by_their_quantity_alone() -> None:
    (report,) = answer(Venue("100", positionRisk=reply([position(symbol="ETHUSDT")]))).facts
    assert isinstance(report, AccountReported)
    assert [(str(one.instrument), one.cost) for one in report.positions] == [
        ("binance:usdm:ETHUSDT", Decimal(0))
    ]


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


def test_funding_whose_rate_is_not_listed_yet_leaves_its_asset_out_of_what_is_compared() -> None:
    rows = [
        income("FUNDING_FEE", "-1", 1, NOW_NS - 1_000_000_000, "BTCUSDT"),
        income("TRANSFER", "5", 2, NOW_NS - 1_000_000_000),
    ]
    bench = answer(Venue("100", income=reply(rows)), QueryAccount(LINEAR.account, since_ns=NOW_NS - DAY_NS))
    assert bench.names() == ["ProtocolDrift", "Transferred", "AccountReported"]
    report = bench.facts[-1]
    assert isinstance(report, AccountReported)
    assert (report.unread_rows, report.unread) == (1, ("USDT",))


def test_a_wallet_is_not_told_between_a_payment_and_its_entry_in_the_history() -> None:
    """The balance moves at once, the history follows: in between the report would show money from nowhere."""
    paid = income("FUNDING_FEE", "-1", 1, NOW_NS, "BTCUSDT")
    rate = {
        "symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": NOW_NS // 1_000_000, "markPrice": "20000"
    }  # fmt: skip
    listed: dict[str, Reply | Exception] = {"income": reply([]), "fundingRate": reply([rate])}
    query = QueryAccount(LINEAR.account, since_ns=NOW_NS - DAY_NS)

    async def scene() -> list[list[str]]:
        bench = await set_up(Venue("99", **listed))
        answers = AccountAnswers(bench.account)
        bench.payments.due(NOW_NS)
        told = []
        for _ in range(3):
            await answers.answer(query)
            told.append(bench.names())
            bench.facts.clear()
            bench.network.answers = Venue("99", **{**listed, "income": reply([paid])})
            await asyncio.sleep(10.0)
        return told

    first, then, later = run_virtual(scene())
    assert first == []
    assert then[-1:] == later[-1:] == ["AccountReported"]
    assert "FundingPaid" in then


def test_a_long_absence_has_more_rates_than_fit_on_a_page() -> None:
    hour_ns = 3_600_000_000_000
    start_ns = NOW_NS - 1200 * hour_ns
    rates: list[dict[str, object]] = [
        {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingTime": (start_ns + n * hour_ns) // 1_000_000,
         "markPrice": "20000"}
        for n in range(1200)
    ]  # fmt: skip
    rows = [income("FUNDING_FEE", "-1", n, start_ns + n * hour_ns, "BTCUSDT") for n in (0, 1199)]
    since = Venue("100")

    def said(asked: Asked) -> Reply | Exception:
        from_ms = int(asked[2].get("startTime", 0))
        if asked[1].endswith("/fundingRate"):
            return reply([row for row in rates if int(str(row["fundingTime"])) >= from_ms][:1000])
        if asked[1].endswith("/income"):
            until_ms = int(asked[2]["endTime"])
            return reply([row for row in rows if from_ms <= int(str(row["time"])) <= until_ms])
        return since(asked)

    async def scene() -> Bench:
        bench = await set_up(said)
        await AccountAnswers(bench.account).answer(QueryAccount(LINEAR.account, since_ns=start_ns))
        return bench

    assert run_virtual(scene()).names() == ["FundingPaid", "FundingPaid", "AccountReported"]


def test_funding_in_another_asset_than_the_margin_is_not_understood() -> None:
    row = {**income("FUNDING_FEE", "-1", 1, NOW_NS - 1_000_000_000, "BTCUSDT"), "asset": "BNFCR"}
    bench = answer(Venue("100", income=reply([row])), QueryAccount(LINEAR.account, since_ns=NOW_NS - DAY_NS))
    drift, report = bench.facts
    assert isinstance(drift, ProtocolDrift)
    assert "paid in BNFCR" in drift.reason
    assert isinstance(report, AccountReported)
    assert report.unread == ("BNFCR",)


def test_a_symbol_that_the_venue_lists_no_more_does_not_keep_the_account_from_being_told() -> None:
    venue = Venue("100", userTrades=refusal(-1121, "Invalid symbol."))
    query = QueryAccount(LINEAR.account, after_trades={LINEAR.id: "7"})
    assert [type(fact) for fact in answer(venue, query).facts] == [AccountReported]


def test_a_question_that_is_refused_for_good_is_told_with_the_venue_s_words() -> None:
    no_page = reply(b"<html>404</html>", 404)
    for said, words in ((refusal(-2015, "Invalid API-key", 401), "-2015 Invalid API-key"), (no_page, "404")):
        (drift,) = answer(Venue("100", openAlgoOrders=said)).facts
        assert isinstance(drift, ProtocolDrift)
        assert words in drift.reason


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (refusal(-2015, "no right", 401), [ProtocolDrift, AccountReported]),
        (reply([{"symbol": "BTCUSDT"}]), [ProtocolDrift, AccountReported]),
        (Unanswered("reset"), []),
    ],
)
def test_settings_that_the_venue_refuses_to_tell_keep_nobody_from_comparing_the_account(
    said: Reply | Exception, expected: list[type]
) -> None:
    async def scene() -> Bench:
        venue = Venue("100")
        bench = await set_up(venue)
        venue.answers = {**venue.answers, "symbolConfig": said}
        await AccountAnswers(bench.account).answer(QUERY)
        return bench

    assert [type(fact) for fact in run_virtual(scene()).facts] == expected


@pytest.mark.parametrize(
    ("told", "forgetful", "is_reset"),
    [
        ({"USDT": "100"}, True, False),  # the wallet is as it was told: the list is late
        ({"USDT": "99"}, True, True),
        ({}, True, True),  # after a restart nothing was told
        ({"USDT": "99"}, False, False),  # a real account is never begun anew
        ({}, False, False),
    ],
)
def test_a_list_that_lacks_a_known_trade_is_late_or_the_account_was_begun_anew(
    told: dict[str, str], forgetful: bool, is_reset: bool
) -> None:
    body = {"balances": [{"asset": "USDT", "free": "100", "locked": "0"}], "updateTime": 1}

    def said(asked: Asked) -> Reply:
        return reply(body) if asked[1].endswith("/account") else reply([])

    async def scene() -> Bench:
        bench = Bench("spot", said)
        bench.account.balances.update({asset: Decimal(amount) for asset, amount in told.items()})
        account = msgspec.structs.replace(bench.account, forgetful=forgetful)
        await AccountAnswers(account).answer(QueryAccount(SPOT.account, after_trades={SPOT.id: "7"}))
        return bench

    facts = run_virtual(scene()).facts
    if is_reset:
        assert [type(fact) for fact in facts] == [VenueReset, AccountReported]
    else:
        (drift,) = facts
        assert isinstance(drift, ProtocolDrift)
        assert "trade 7 of binance:spot:BTCUSDT" in drift.reason


def test_a_test_network_that_lists_a_known_trade_no_more_has_begun_anew_whatever_its_wallet_is() -> None:
    """New trades were told since: the wallet is as it was told, and the old trade stays away."""
    body = {"balances": [{"asset": "USDT", "free": "100", "locked": "0"}], "updateTime": 1}

    def said(asked: Asked) -> Reply:
        return reply(body) if asked[1].endswith("/account") else reply([])

    async def scene() -> list[str]:
        bench = Bench("spot", said)
        bench.account.balances["USDT"] = Decimal(100)
        answers = AccountAnswers(msgspec.structs.replace(bench.account, forgetful=True))
        for _ in range(3):
            await answers.answer(QueryAccount(SPOT.account, after_trades={SPOT.id: "7"}))
            await asyncio.sleep(10.0)
        return bench.names()

    assert run_virtual(scene()) == ["ProtocolDrift", "ProtocolDrift", "VenueReset", "AccountReported"]


def test_an_account_is_asked_once_at_a_time() -> None:
    async def scene() -> Bench:
        bench = await set_up(Venue("100"))
        bench.network.asked.clear()
        answers = AccountAnswers(bench.account)
        await asyncio.gather(*(answers.answer(QUERY) for _ in range(5)))
        return bench

    bench = run_virtual(scene())
    assert len(bench.facts) == 1
    assert len(bench.network.asked) == 8
