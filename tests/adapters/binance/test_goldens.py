"""What is read of every message: own samples by goldens, real ones in place, docs/VENUES.md in step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from adapters.binance import codec, events, replies, statements
from adapters.binance.endpoints import ENDPOINTS
from tests.adapters.binance.decoders import DECODERS, Sample, plain, samples

ROOT = Path(__file__).resolve().parents[3]
SAMPLES = samples()
VENUES = (ROOT / "docs" / "VENUES.md").read_text(encoding="utf-8")


def section(title: str) -> list[list[str]]:
    """Cells of the first table under a heading, without its head."""
    text = VENUES.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_as_its_golden_says(name: str) -> None:
    sample: Sample = SAMPLES[name]
    value = DECODERS[sample.decoder](sample.market, bytes(sample.wire))
    golden = msgspec.json.decode(bytes(sample.becomes))
    read = msgspec.json.decode(msgspec.json.encode(value))
    if sample.decoder == "event":
        read = {"event": type(value).__name__, **read}
        facts = events.facts_of(value)  # type: ignore[arg-type]
        assert msgspec.json.decode(msgspec.json.encode(facts)) == msgspec.json.decode(bytes(sample.facts))
    assert read == golden


def test_every_message_of_the_document_has_samples_and_every_sample_its_row() -> None:
    listed = {
        f"{market.strip()}.{message.strip('`')}"
        for message, markets, *_ in section("Messages")
        for market in markets.split(",")
    }
    assert len(listed) > 80
    assert {".".join(name.split(".")[:2]) for name in SAMPLES} == listed


def test_the_document_lists_the_requests_that_the_code_can_make() -> None:
    written = {}
    for name, method, *cells, ws_method in section("Requests"):
        for market, cell in zip(ENDPOINTS, cells, strict=True):
            if cell:
                path, weight = cell.split(" ", 1)
                written[market, name.strip("`")] = (
                    method, path.strip("`"), weight, ws_method.strip("`"),
                )  # fmt: skip
    coded = {
        (market, row.name): (
            row.method,
            row.path,
            f"{row.weight}{'+1 order' if row.order_count else ''}",
            row.ws_method,
        )
        for market, rows in ENDPOINTS.items()
        for row in rows.values()
    }
    assert written == coded


# --- real samples, decoded where they lie -----------------------------------------------------------------

NAUTILUS_EVENTS = {
    "spot/user_data_json/execution_report_new": ("OrderAccepted",),
    "spot/user_data_json/execution_report_trade": ("OrderFilled",),
    "spot/user_data_json/execution_report_canceled": ("OrderCanceled",),
    "spot/user_data_json/execution_report_expired": ("OrderExpired",),
    "spot/user_data_json/execution_report_stop_loss": ("OrderAccepted",),
    "spot/user_data_json/execution_report_wrapped": ("OrderAccepted",),
    "spot/user_data_json/account_position": ("BalanceSeen", "BalanceSeen"),
    "spot/user_data_json/account_position_wrapped": ("BalanceSeen",),
    "spot/user_data_json/balance_update": ("Transferred",),
    "spot/user_data_json/balance_update_wrapped": ("Transferred",),
    "spot/user_data_json/list_status_wrapped": (),
    "futures/user_data_json/account_update": ("BalanceSeen",),
    "futures/user_data_json/account_update_bnfcr": ("BalanceSeen",),
    "futures/user_data_json/algo_update_canceled": (),
    "futures/user_data_json/algo_update_new": (),
    "futures/user_data_json/order_update_new": ("OrderAccepted",),
    "futures/user_data_json/order_update_trade": ("OrderFilled",),
    "futures/user_data_json/order_update_trade_partial": ("OrderFilled",),
    "futures/user_data_json/order_update_adl": ("ForcedFilled",),
    "futures/user_data_json/order_update_calculated": ("ForcedFilled",),
    "futures/user_data_json/order_update_calculated_pending": (),
    "futures/user_data_json/order_update_delivery": ("ForcedFilled",),
    "futures/user_data_json/order_update_insurance": ("ForcedFilled",),
    "futures/user_data_json/order_update_settlement": ("ForcedFilled",),
    "futures/user_data_json/trade_lite": (),
}


def test_every_real_private_event_becomes_its_facts(recordings: Path) -> None:
    folder = recordings / "wire" / "nautilus" / "binance"
    found = {
        str(path.relative_to(folder).with_suffix("")): path for path in folder.glob("*/user_data_json/*.json")
    }
    assert sorted(found) == sorted(NAUTILUS_EVENTS)
    for name, path in found.items():
        market = "spot" if name.startswith("spot") else "usdm"
        facts = events.facts_of(events.event(market, path.read_bytes()))
        assert tuple(type(fact).__name__ for fact in facts) == NAUTILUS_EVENTS[name], name


def test_real_answers_are_read(recordings: Path) -> None:
    folder = recordings / "wire" / "nautilus" / "binance"

    def body(name: str) -> bytes:
        return (folder / f"{name}.json").read_bytes()

    placed = replies.order("spot", body("spot/http_json/new_order_full_response"))
    assert sum(trade.qty for trade in placed.trades) == placed.filled_qty == 10
    canceled = replies.order("spot", body("spot/http_json/cancel_order_response"))
    assert (canceled.client_id, canceled.status_word) == ("myOrder1", "CANCELED")
    assert replies.order("spot", body("spot/http_json/order_response")).kind == "LIMIT"
    assert len(replies.orders("spot", body("spot/http_json/open_orders_response"))) == 1
    assert len(replies.orders("spot", body("spot/http_json/all_orders_response"))) == 1
    assert replies.trades("spot", body("spot/http_json/account_trades_response"))[0].fee_asset == "BNB"
    assert replies.order("usdm", body("futures/http_json/order_response")).client_id == "testOrder123"
    assert "BTC" in statements.wallet("spot", body("spot/http_json/account_response")).balances
    assert list(statements.wallet("usdm", body("futures/http_json/account_info_v2")).balances) == ["USDT"]
    (position,) = statements.positions("usdm", body("futures/http_json/position_risk"))
    assert str(position.qty) == "0.001"
    (algo,) = statements.algo_orders("usdm", body("futures/http_json/open_algo_orders"))
    assert algo.name == "test-algo-order-1"
    assert statements.server_time_ns(body("spot/http_json/server_time_response")) > 0


# jkorf's files: a method, a path and whether it is signed, one line each, then the answer
JKORF = {
    ("Trading", "PlaceOrder"): "order",
    ("Trading", "CancelOrder"): "order",
    ("Trading", "GetOrder"): "order",
    ("Trading", "GetOpenOrders"): "orders",
    ("Trading", "GetOrders"): "orders",
    ("Trading", "GetUserTrades"): "trades",
    ("Trading", "GetPositions"): "positions",
    ("Trading", "GetOpenConditionalOrders"): "algo_orders",
    ("Account", "GetPositionInformation"): "positions",
    ("Account", "GetPositionMode"): "hedge_mode",
    ("Account", "GetSymbolConfiguration"): "symbol_configs",
    ("Account", "GetIncomeHistory"): "income",
    ("Account", "GetAccountInfo"): "wallet",
    ("Account", "GetAccountInfoV3"): "wallet",
    ("Account", "StartUserStream"): "listen_key",
    ("ExchangeData", "GetServerTime"): "server_time_ns",
    ("ExchangeData", "GetFundingRates"): "funding_rates",
    ("ExchangeData", "GetPrice"): "ticker_price",
}
FOLDERS = {"Spot": "spot", "UsdFutures": "usdm", "CoinFutures": "coinm"}
WITHDRAWN = {("Spot", "StartUserStream")}


def told(path: Path) -> list[bytes]:
    """The messages of one of these files: the JSON after each line that begins with an equals sign."""
    text = path.read_text(encoding="utf-8-sig").replace("|1|", "1")
    found = []
    for mark in re.finditer(r"^=[^{]*", text, re.MULTILINE):
        _, end = json.JSONDecoder().raw_decode(text, mark.end())
        found.append(text[mark.end() : end].encode())
    assert found, path
    return found


def test_real_answers_of_every_market_are_read(recordings: Path) -> None:
    read = 0
    for path in sorted((recordings / "wire" / "jkorf" / "binance" / "Endpoints").glob("*/*/*.txt")):
        decoder = JKORF.get((path.parent.name, path.stem))
        folder = path.parents[1].name
        if decoder is None or (folder, path.stem) in WITHDRAWN:
            continue
        match = re.search(
            r"^(true|false)\s+(.*)", path.read_text(encoding="utf-8-sig"), re.DOTALL | re.MULTILINE
        )
        assert match, path
        value = DECODERS[decoder](FOLDERS[folder], match.group(2).strip().encode())
        assert plain(value) is not None
        read += 1
    assert read >= 30


def test_real_messages_of_the_private_streams_are_read(recordings: Path) -> None:
    seen = set()
    folder = recordings / "wire" / "jkorf" / "binance" / "Subscriptions"
    names = ("Spot/Account/[!M]*", "UsdFutures/*Update", "UsdFutures/Leverage", "UsdFutures/MultiAssetMode",
             "UsdFutures/ConditionalTrigger")  # fmt: skip  # M: the risk stream of margin accounts
    for name in names:
        for path in sorted(folder.glob(f"{name}.txt")):
            for payload in told(path):
                event = events.event(FOLDERS[path.relative_to(folder).parts[0]], payload)
                seen.add(getattr(event, "word", type(event).__name__))
    assert {"OrderEvent", "WalletEvent", "BalanceMoved", "AccountEvent", "MarginCall", "TRADE_LITE"} <= seen
    assert {"listStatus", "ALGO_UPDATE", "GRID_UPDATE", "STRATEGY_UPDATE", "USER_LIABILITY_CHANGE"} <= seen
    assert {"SettingsMoved", "CONDITIONAL_ORDER_TRIGGER_REJECT"} <= seen


def test_a_real_description_of_a_contract_is_read(recordings: Path) -> None:
    folder = recordings / "wire" / "jkorf" / "binance" / "Subscriptions"
    (payload,) = told(folder / "UsdFutures" / "SymbolUpdates.txt")
    frame = codec.decode_contract(payload).data
    assert (frame.symbol, frame.status, frame.contract_type) == ("IOTAUSDT", "TRADING", "PERPETUAL")


def test_real_answers_of_the_web_socket_api_are_read(recordings: Path) -> None:
    read = 0
    kinds: set[str] = set()
    for path in sorted((recordings / "wire" / "jkorf" / "binance" / "Socket").glob("*/Trading/*Order.txt")):
        if path.stem not in ("PlaceOrder", "CancelOrder", "GetOrder"):
            continue
        for payload in told(path):
            reply = replies.ws_reply(payload)
            market = FOLDERS[path.relative_to(path.parents[2]).parts[0]]
            assert replies.order(market, reply.result).venue_order_id
            kinds |= {usage.kind for usage in reply.usage}
            read += 1
    assert (read, kinds) == (9, {"REQUEST_WEIGHT", "ORDERS"})
