"""Orders by request: what is taken, what is refused and in which words, what lists tell."""

from __future__ import annotations

from typing import Any

import pytest

from bot.model.ids import InstrumentId
from bot.model.instrument import Side
from bot.model.money import ONE
from tests.adapters.rehearsal.scene import PATHS, SYMBOLS, Scene, order_path, refused

MARKETS = ("spot", "usdm", "coinm")
FUTURES = ("usdm", "coinm")


# --- placing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_rests_is_asked_for_and_cancelled(market: str) -> None:
    scene = Scene()
    placed = scene.place(market, newClientOrderId="mine-1")
    assert placed["clientOrderId"] == "mine-1"
    assert placed["status"] == "NEW"
    symbol = SYMBOLS[market]
    for name in ({"orderId": placed["orderId"]}, {"origClientOrderId": "mine-1"}):
        asked = scene.json(market, order_path(market, "GET"), symbol=symbol, **name)
        assert (asked["status"], asked["side"], asked["timeInForce"]) == ("NEW", "BUY", "GTC")
    cancelled = scene.json(market, order_path(market, "DELETE"), symbol=symbol, origClientOrderId="mine-1")
    assert cancelled["status"] == "CANCELED"
    if market == "spot":
        assert cancelled["origClientOrderId"] == "mine-1"
        assert cancelled["clientOrderId"] != "mine-1"
    assert (
        scene.error(market, order_path(market, "DELETE"), symbol=symbol, orderId=placed["orderId"])[1]
        == -2011
    )
    assert scene.json(market, f"GET {PATHS[market]}/openOrders") == []


def test_the_kind_of_answer_that_was_asked_for_on_spot() -> None:
    scene = Scene()
    taking = {"price": scene.taking("spot", "BUY"), "timeInForce": "IOC"}
    usual = scene.place("spot", **taking)
    assert usual["status"] == "FILLED"
    assert sum(float(fill["qty"]) for fill in usual["fills"]) == pytest.approx(float(usual["executedQty"]))
    assert "fills" not in scene.place("spot", **taking, newOrderRespType="RESULT")
    assert set(scene.place("spot", **taking, newOrderRespType="ACK")) == {
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime",
    }  # fmt: skip
    assert set(scene.place("spot", type="LIMIT_MAKER", timeInForce=None)) == {
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime",
    }  # fmt: skip


@pytest.mark.parametrize("market", FUTURES)
def test_a_futures_acknowledgement_shows_nothing_filled(market: str) -> None:
    scene = Scene()
    taking = {"price": scene.taking(market, "BUY"), "timeInForce": "IOC"}
    taken = scene.place(market, **taking)
    assert (taken["status"], taken["executedQty"], taken["avgPrice"]) == ("NEW", "0", "0.00")
    done = scene.place(market, **taking, newOrderRespType="RESULT")
    assert (done["status"], done["executedQty"]) == ("FILLED", done["origQty"])
    asked = scene.json(market, order_path(market, "GET"), symbol=SYMBOLS[market], orderId=taken["orderId"])
    assert asked["status"] == "FILLED"
    bid, ask = scene.touch(market)
    assert bid < float(asked["avgPrice"]) <= ask + 50


@pytest.mark.parametrize("market", MARKETS)
def test_the_rest_of_an_ioc_order_expires(market: str) -> None:
    scene = Scene()
    placed = scene.place(market, timeInForce="IOC", newOrderRespType="RESULT")
    assert (placed["status"], float(placed["executedQty"])) == ("EXPIRED", 0.0)


@pytest.mark.parametrize("market", MARKETS)
def test_a_fill_or_kill_order_has_all_of_it_or_nothing(market: str) -> None:
    scene = Scene()
    depth = scene.public(market, f"GET {PATHS[market]}/depth", symbol=SYMBOLS[market])
    price, shown = depth["bids"][0]
    at_touch = {"side": "SELL", "price": price, "timeInForce": "FOK", "newOrderRespType": "RESULT"}
    filled = scene.place(market, **at_touch)
    assert (filled["status"], filled["timeInForce"]) == ("FILLED", "FOK")
    too_much = {**at_touch, "quantity": shown}  # of which a part is taken
    if market == "spot":
        killed = scene.place(market, **too_much)
        assert (killed["status"], float(killed["executedQty"])) == ("EXPIRED", 0.0)
    else:
        assert refused(scene, market, **too_much) == -5021


@pytest.mark.parametrize("market", MARKETS)
def test_a_market_order_fills_through_the_touch(market: str) -> None:
    scene = Scene()
    _, ask = scene.touch(market)
    placed = scene.place(market, type="MARKET", timeInForce=None, price=None, newOrderRespType="RESULT")
    assert (placed["status"], placed["type"], float(placed["price"])) == ("FILLED", "MARKET", 0.0)
    paid = (
        float(placed["cummulativeQuoteQty"]) / float(placed["executedQty"])
        if market == "spot"
        else float(placed["avgPrice"])
    )
    assert paid == pytest.approx(ask, rel=1e-3)


def test_a_spot_market_order_may_be_sized_in_quote() -> None:
    scene = Scene()
    _, ask = scene.touch("spot")
    sized = {"type": "MARKET", "timeInForce": None, "price": None, "quantity": None}
    placed = scene.place("spot", **sized, quoteOrderQty="1000")
    assert 0 <= 1000 / ask - float(placed["executedQty"]) < 0.00001
    assert placed["origQuoteOrderQty"] == "1000.00000000"
    assert scene.error("spot", order_path("spot"), **scene.order("spot", **sized))[1] == -1102


@pytest.mark.parametrize("market", MARKETS)
def test_a_name_is_free_again_once_its_order_has_ended(market: str) -> None:
    scene = Scene()
    first = scene.place(market, newClientOrderId="again")
    assert refused(scene, market, newClientOrderId="again") == (-2010 if market == "spot" else -4116)
    scene.json(market, order_path(market, "DELETE"), symbol=SYMBOLS[market], orderId=first["orderId"])
    second = scene.place(market, newClientOrderId="again")
    assert second["orderId"] > first["orderId"]
    asked = scene.json(market, order_path(market, "GET"), symbol=SYMBOLS[market], origClientOrderId="again")
    assert asked["orderId"] == second["orderId"]


def test_one_name_may_live_on_every_market_at_once() -> None:
    scene = Scene()
    for market in MARKETS:
        assert scene.place(market, newClientOrderId="twin")["clientOrderId"] == "twin"


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_of_which_only_a_test_was_asked_does_not_live(market: str) -> None:
    scene = Scene()
    if market == "coinm":
        assert scene.error(market, f"{order_path(market)}/test", **scene.order(market)) == (404, -5000)
        return
    scene.json(market, f"{order_path(market)}/test", **scene.order(market))
    assert scene.json(market, f"GET {PATHS[market]}/openOrders") == []
    rates = scene.json(
        "spot", "POST /api/v3/order/test", **scene.order("spot"), computeCommissionRates="true"
    )
    assert rates["standardCommissionForOrder"]["taker"] == "0.00100000"


def test_what_arrives_meanwhile_fills_a_resting_order() -> None:
    """A bid at the ask's side of the book's next frames: the recording's own trades come to it."""
    scene = Scene()
    bid, _ = scene.touch("usdm")
    placed = scene.place("usdm", price=f"{bid:.1f}")
    for _ in range(200):
        scene.pass_s(1)
        now = scene.json("usdm", "GET /fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"])
        if now["status"] == "FILLED":
            break
    assert now["status"] == "FILLED"
    (trade,) = [
        row for row in scene.json("usdm", "GET /fapi/v1/userTrades", symbol="BTCUSDT") if row["maker"]
    ]
    assert trade["orderId"] == placed["orderId"]


# --- rules -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_that_must_not_take_is_refused_when_it_would(market: str) -> None:
    scene = Scene()
    crossing = {"price": scene.taking(market, "BUY")}
    if market == "spot":
        assert refused(scene, market, **crossing, type="LIMIT_MAKER", timeInForce=None) == -2010
    else:
        assert refused(scene, market, **crossing, timeInForce="GTX") == -5022
        assert scene.place(market, timeInForce="GTX")["timeInForce"] == "GTX"


@pytest.mark.parametrize("market", FUTURES)
def test_reduce_only_closes_what_there_is_and_no_more(market: str) -> None:
    scene = Scene()
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    size = float(scene.order(market)["quantity"])  # type: ignore[arg-type]
    closed = scene.place(
        market,
        side="SELL",
        price=scene.taking(market, "SELL"),
        quantity=f"{3 * size:g}",
        reduceOnly="true",
        newOrderRespType="RESULT",
    )
    assert (closed["status"], float(closed["executedQty"])) == ("EXPIRED", size)
    held = [row for row in positions(scene, market) if float(row["positionAmt"])]
    assert held == []


def test_hedge_mode_refuses_orders_for_one_way() -> None:
    scene = Scene()
    scene.json("usdm", "POST /fapi/v1/positionSide/dual", dualSidePosition="true")
    assert refused(scene, "usdm") == -4061
    assert refused(scene, "usdm", positionSide="LONG") == -1020, "known at the venue, and not served here"


@pytest.mark.parametrize("market", MARKETS)
def test_an_instrument_that_does_not_trade_takes_cancels_alone(market: str) -> None:
    scene = Scene()
    placed = scene.place(market)
    name = scene.teller.history.markets[market].orders[placed["orderId"]].instrument.id
    scene.world.set_status(name, "BREAK")
    assert refused(scene, market) == (-1013 if market == "spot" else -4108)
    scene.json(market, order_path(market, "DELETE"), symbol=SYMBOLS[market], orderId=placed["orderId"])


@pytest.mark.parametrize("market", MARKETS)
def test_an_order_is_asked_for_by_a_name_and_its_own_symbol(market: str) -> None:
    scene = Scene()
    symbol = SYMBOLS[market]
    assert scene.error(market, order_path(market, "GET"), symbol=symbol)[1] == -1102
    assert scene.error(market, order_path(market, "GET"), symbol=symbol, orderId=1)[1] == -2013
    assert scene.error(market, order_path(market, "GET"), symbol=symbol, origClientOrderId="none")[1] == -2013
    assert scene.error(market, order_path(market, "GET"), symbol=symbol, orderId="x1")[1] == -1100


# --- lists ------------------------------------------------------------------------------------------------


def positions(scene: Scene, market: str) -> Any:
    return scene.json(
        market, "GET /fapi/v3/positionRisk" if market == "usdm" else "GET /dapi/v1/positionRisk"
    )


@pytest.mark.parametrize("market", MARKETS)
def test_all_open_orders_go_at_once(market: str) -> None:
    scene = Scene()
    for _ in range(3):
        scene.place(market)
    path = "openOrders" if market == "spot" else "allOpenOrders"
    gone = scene.json(market, f"DELETE {PATHS[market]}/{path}", symbol=SYMBOLS[market])
    if market == "spot":
        assert [row["status"] for row in gone] == ["CANCELED"] * 3
        assert scene.error(market, f"DELETE {PATHS[market]}/{path}", symbol=SYMBOLS[market])[1] == -2011
    else:
        assert gone["code"] == 200
    assert scene.json(market, f"GET {PATHS[market]}/openOrders", symbol=SYMBOLS[market]) == []


@pytest.mark.parametrize("market", MARKETS)
def test_trades_are_told_from_a_number_a_time_or_the_end(market: str) -> None:
    scene = Scene()
    symbol, path = SYMBOLS[market], "myTrades" if market == "spot" else "userTrades"
    times = []
    for _ in range(5):
        times.append(scene.now_ms())
        scene.place(market, type="MARKET", timeInForce=None, price=None)
        scene.pass_s(1)

    def told(**params: object) -> Any:
        return scene.json(market, f"GET {PATHS[market]}/{path}", symbol=symbol, **params)

    rows = told()
    numbers = [row["id"] for row in rows]
    assert len(set(numbers)) == len(numbers) >= 5
    assert numbers == sorted(numbers)
    assert told(limit=2) == rows[-2:]
    assert told(fromId=numbers[2]) == rows[2:]
    assert told(fromId=numbers[2], limit=1) == rows[2:3]
    assert told(fromId=0, limit=1) == rows[:1]
    assert told(orderId=rows[1]["orderId"])[0] == rows[1]
    assert all(row["time"] >= times[3] for row in told(startTime=times[3]))
    assert told(startTime=times[0], limit=1) == rows[:1]
    assert told(endTime=times[0] - 1) == []
    refusal = scene.error(market, f"GET {PATHS[market]}/{path}", symbol=symbol, fromId=1, startTime=times[0])
    assert refusal == (400, -1128)
    assert scene.error(market, f"GET {PATHS[market]}/{path}")[1] == -1102


@pytest.mark.parametrize("market", MARKETS)
def test_all_orders_are_told_from_a_number_or_the_end(market: str) -> None:
    scene = Scene()
    placed = [scene.place(market)["orderId"] for _ in range(4)]
    ask = f"GET {PATHS[market]}/allOrders"
    assert [row["orderId"] for row in scene.json(market, ask, symbol=SYMBOLS[market])] == placed
    later = scene.json(market, ask, symbol=SYMBOLS[market], orderId=placed[1], limit=2)
    assert [row["orderId"] for row in later] == placed[1:3]
    newest = scene.json(market, ask, symbol=SYMBOLS[market], limit=1)
    assert [row["orderId"] for row in newest] == placed[-1:]


def test_coinm_tells_by_pair_too() -> None:
    scene = Scene()
    scene.place("coinm", type="MARKET", timeInForce=None, price=None)
    scene.place("coinm")
    assert scene.json("coinm", "GET /dapi/v1/userTrades", pair="BTCUSD")
    assert scene.json("coinm", "GET /dapi/v1/openOrders", pair="BTCUSD")
    assert scene.json("coinm", "GET /dapi/v1/openOrders", pair="ETHUSD") == []


def test_an_operator_s_stop_is_seen_and_goes() -> None:
    scene = Scene()
    for market, ask, number in (
        ("spot", "GET /api/v3/openOrders", "orderId"),
        ("usdm", "GET /fapi/v1/openAlgoOrders", "algoId"),
        ("coinm", "GET /dapi/v1/openAlgoOrders", "algoId"),
    ):
        assert scene.json(market, ask) == []
        (instrument,) = scene.teller.holdings.instruments(market)
        made = scene.teller.operator_stop(instrument.id, Side.SELL, instrument.qty_min, instrument.tick)
        (row,) = scene.json(market, ask, symbol=SYMBOLS[market])
        assert (row[number], row["side"]) == (made, "SELL")
        scene.teller.operator_cancel(market, made)
        assert scene.json(market, ask) == []
    made = scene.teller.operator_stop(InstrumentId("binance:spot:BTCUSDT"), Side.SELL, ONE, ONE)
    gone = scene.json("spot", "DELETE /api/v3/order", symbol="BTCUSDT", orderId=made)
    assert (gone["status"], gone["type"]) == ("CANCELED", "STOP_LOSS_LIMIT")


def test_switching_off_a_countdown_is_served_and_starting_one_is_not() -> None:
    scene = Scene()
    ask = "POST /fapi/v1/countdownCancelAll"
    assert scene.json("usdm", ask, symbol="BTCUSDT", countdownTime=0)["countdownTime"] == "0"
    assert scene.error("usdm", ask, symbol="BTCUSDT", countdownTime=1000)[1] == -1020
