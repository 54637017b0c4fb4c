"""User data streams: what is told, in which order, to whom, and what is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.model.ids import InstrumentId
from bot.model.instrument import Side
from tests.adapters.rehearsal.scene import PATHS, SYMBOLS, Listener, Scene

FUTURES = ("usdm", "coinm")
USDM = InstrumentId("binance:usdm:BTCUSDT")


def listening(scene: Scene, market: str) -> Listener:
    """A client that follows the account of ``market``."""
    if market == "spot":
        line, peer = scene.open("spot", "/ws-api/v3")
        scene.say(line, "userDataStream.subscribe.signature", **scene.signed())
        assert peer.heard.pop()["result"] == {"subscriptionId": 0}
        return peer
    prefix = "/private" if market == "usdm" else ""
    return scene.open(market, f"{prefix}/ws/{scene.teller.create_listen_key(market)}")[1]


def events(peer: Listener) -> list[Any]:
    """What was heard since the last call, unwrapped."""
    heard = [one.get("event", one) for one in peer.heard]
    peer.heard.clear()
    return heard


def states(heard: list[Any]) -> list[tuple[str, str]]:
    """Execution and status of each order event."""
    rows = [one.get("o", one) if one["e"] == "ORDER_TRADE_UPDATE" else one for one in heard]
    return [(row["x"], row["X"]) for row in rows if "x" in row]


@pytest.mark.parametrize("market", ["spot", *FUTURES])
def test_an_order_is_told_from_its_beginning_to_its_end(market: str) -> None:
    scene = Scene()
    peer = listening(scene, market)
    scene.place(market, newClientOrderId="mine")
    assert states(events(peer)) == [("NEW", "NEW")]
    scene.json(market, f"DELETE {PATHS[market]}/order", symbol=SYMBOLS[market], origClientOrderId="mine")
    assert states(events(peer)) == [("CANCELED", "CANCELED")]
    scene.place(market, timeInForce="IOC")
    assert states(events(peer)) == [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]


def test_a_spot_cancel_carries_the_first_name_as_the_original() -> None:
    scene = Scene()
    peer = listening(scene, "spot")
    scene.place("spot", newClientOrderId="first")
    scene.json(
        "spot", "DELETE /api/v3/order", symbol="BTCUSDT", origClientOrderId="first", newClientOrderId="second"
    )
    new, cancelled = [one for one in events(peer) if one["e"] == "executionReport"]
    assert (new["c"], new["C"]) == ("first", "")
    assert (cancelled["c"], cancelled["C"]) == ("second", "first")


@pytest.mark.parametrize("market", ["spot", *FUTURES])
def test_each_execution_says_how_much_had_filled_by_then(market: str) -> None:
    scene = Scene()
    peer = listening(scene, market)
    size = {"spot": "20", "usdm": "20", "coinm": "6000"}[market]
    scene.place(market, side="SELL", quantity={"spot": "1.9"}.get(market, size), type="MARKET",
                timeInForce=None, price=None)  # fmt: skip
    told = events(peer)
    fills = (
        [one.get("o", one) for one in told if one.get("o", one).get("x") == "TRADE"]
        if market != "spot"
        else [one for one in told if one.get("x") == "TRADE"]
    )
    assert len(fills) > 1
    so_far = Decimal(0)
    for fill in fills:
        so_far += Decimal(fill["l"])
        assert Decimal(fill["z"]) == so_far
    assert [fill["X"] for fill in fills[:-1]] == ["PARTIALLY_FILLED"] * (len(fills) - 1)
    assert fills[-1]["X"] == "FILLED"
    numbers = [fill["t"] for fill in fills]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("market", FUTURES)
def test_one_act_is_one_account_update_after_its_orders(market: str) -> None:
    scene = Scene()
    peer = listening(scene, market)
    scene.place(market, type="MARKET", timeInForce=None, price=None)
    told = events(peer)
    assert [one["e"] for one in told][-1] == "ACCOUNT_UPDATE"
    (update,) = [one["a"] for one in told if one["e"] == "ACCOUNT_UPDATE"]
    (balance,), (position,) = update["B"], update["P"]
    account = scene.world.account(market)
    assert Decimal(balance["wb"]) == scene.world.wallets.balance(account, balance["a"])
    (held,) = scene.world.wallets.held(account)
    assert (Decimal(position["pa"]), position["mt"], position["ps"]) == (held.qty, "cross", "BOTH")
    assert update["m"] == "ORDER"


def test_spot_tells_the_balances_that_changed_free_and_locked() -> None:
    scene = Scene()
    peer = listening(scene, "spot")
    placed = scene.place("spot")
    wallets = [one for one in events(peer) if one["e"] == "outboundAccountPosition"]
    (usdt,) = wallets[-1]["B"]
    assert (usdt["a"], Decimal(usdt["l"])) == ("USDT", Decimal(placed["origQty"]) * Decimal(placed["price"]))
    scene.place("spot", price=scene.taking("spot", "BUY"))
    wallets = [one for one in events(peer) if one["e"] == "outboundAccountPosition"]
    assert {row["a"] for row in wallets[-1]["B"]} == {"BTC", "USDT"}


def test_funding_is_told_as_a_balance_alone() -> None:
    scene = Scene()
    scene.place("usdm", type="MARKET", timeInForce=None, price=None)
    peer = listening(scene, "usdm")
    scene.world.settle_funding_now(USDM)
    (event,) = events(peer)
    (paid,) = scene.json("usdm", "GET /fapi/v1/income", incomeType="FUNDING_FEE")
    assert (event["a"]["m"], event["a"]["P"]) == ("FUNDING_FEE", [])
    assert Decimal(event["a"]["B"][0]["bc"]) == Decimal(paid["income"])


@pytest.mark.parametrize(
    ("lever", "name", "execution"),
    [("adl", "adl_autoclose", "TRADE"), ("liquidate", "autoclose-", "CALCULATED"),
     ("deliver", "settlement_autoclose-", "TRADE")],
)  # fmt: skip
def test_forced_executions_bear_the_venue_s_own_names(lever: str, name: str, execution: str) -> None:
    scene = Scene()
    scene.place("usdm", type="MARKET", timeInForce=None, price=None)
    peer = listening(scene, "usdm")
    assert getattr(scene.world, lever)(USDM)
    order, account = events(peer)
    assert order["o"]["c"].startswith(name)
    assert (order["o"]["x"], order["o"]["X"], order["o"]["S"]) == (execution, "FILLED", "SELL")
    assert Decimal(account["a"]["P"][0]["pa"]) == 0


def test_a_margin_call_names_the_positions() -> None:
    scene = Scene()
    scene.place("coinm", type="MARKET", timeInForce=None, price=None)
    peer = listening(scene, "coinm")
    scene.world.margin_call(scene.world.account("coinm"))
    (event,) = events(peer)
    assert event["e"] == "MARGIN_CALL"
    assert [row["s"] for row in event["p"]] == ["BTCUSD_PERP"]


def test_money_that_others_move_is_told() -> None:
    scene = Scene()
    spot, usdm = listening(scene, "spot"), listening(scene, "usdm")
    scene.world.change_balance(scene.world.account("spot"), "USDT", Decimal(5))
    moved, wallet = events(spot)
    assert (moved["e"], moved["a"], moved["d"]) == ("balanceUpdate", "USDT", "5.00000000")
    assert (wallet["e"], wallet["B"][0]["a"]) == ("outboundAccountPosition", "USDT")
    scene.world.change_balance(scene.world.account("usdm"), "USDT", Decimal(-5))
    (update,) = events(usdm)
    assert (update["a"]["m"], update["a"]["B"][0]["bc"]) == ("WITHDRAW", "-5")


# --- listen keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("market", FUTURES)
def test_a_listen_key_lives_an_hour_from_its_last_extension(market: str) -> None:
    scene, path = Scene(), f"{PATHS[market]}/listenKey"
    key = scene.json(market, f"POST {path}")["listenKey"]
    scene.pass_s(3_000)
    assert scene.json(market, f"POST {path}")["listenKey"] == key
    scene.pass_s(3_000)
    scene.json(market, f"PUT {path}")
    scene.pass_s(3_601)
    assert scene.error(market, f"PUT {path}") == (400, -1125)
    other = scene.json(market, f"POST {path}")["listenKey"]
    assert other != key
    scene.json(market, f"DELETE {path}")
    assert scene.error(market, f"PUT {path}") == (400, -1125)


def test_a_key_that_is_over_is_told_nothing() -> None:
    scene = Scene()
    peer = listening(scene, "usdm")
    scene.pass_s(3_601)
    scene.place("usdm")
    assert peer.heard == []


@pytest.mark.parametrize("market", FUTURES)
def test_an_expired_key_is_said_once_and_then_nothing(market: str) -> None:
    scene = Scene()
    peer = listening(scene, market)
    scene.teller.expire_listen_keys(market)
    (event,) = events(peer)
    assert event["e"] == "listenKeyExpired"
    scene.place(market)
    assert peer.heard == []
    fresh = listening(scene, market)
    scene.place(market)
    assert states(events(fresh)) == [("NEW", "NEW")]
    assert peer.heard == []


def test_a_wrong_path_or_an_unknown_key_stays_silent() -> None:
    scene = Scene()
    key = scene.teller.create_listen_key("usdm")
    silent = [
        scene.open("usdm", target)[1]
        for target in (f"/ws/{key}", f"/stream?streams={key}", "/private/ws/" + "0" * 64, "/private/ws")
    ]
    heard = [
        scene.open("usdm", target)[1]
        for target in (f"/private/ws/{key}", f"/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE")
    ]
    (_, wrapped) = scene.open("usdm", f"/private/stream?streams={key}")
    scene.place("usdm")
    assert [peer.heard for peer in silent] == [[]] * 4
    assert [states(events(peer)) for peer in heard] == [[("NEW", "NEW")]] * 2
    (envelope,) = wrapped.heard
    assert (envelope["stream"], envelope["data"]["e"]) == (key, "ORDER_TRADE_UPDATE")


@pytest.mark.parametrize(
    ("market", "target"), [("usdm", "/private/stream"), ("coinm", "/stream"), ("coinm", "/ws")]
)
def test_a_listen_key_may_be_subscribed_to(market: str, target: str) -> None:
    scene = Scene()
    key = scene.teller.create_listen_key(market)
    line, peer = scene.open(market, target)
    line.receive(b'{"method":"SUBSCRIBE","params":["%s"],"id":4}' % key.encode())
    assert peer.heard.pop() == {"result": None, "id": 4}
    scene.place(market)
    assert len(peer.heard) == 1
    line.receive(b'{"method":"UNSUBSCRIBE","params":["%s"],"id":5}' % key.encode())
    peer.heard.clear()
    scene.place(market)
    assert peer.heard == []
    line.closed()
    scene.place(market)


def test_nobody_hears_after_the_socket_has_closed() -> None:
    scene = Scene()
    line, peer = scene.open("usdm", f"/private/ws/{scene.teller.create_listen_key('usdm')}")
    line.closed()
    scene.place("usdm")
    assert peer.heard == []


def test_a_stream_may_die_without_a_word() -> None:
    scene = Scene()
    line, peer = scene.open("usdm", f"/private/ws/{scene.teller.create_listen_key('usdm')}")
    scene.teller.streams.leave_all("usdm")
    scene.place("usdm")
    assert (peer.heard, peer.closed_with) == ([], None)
    line.closed()


def test_private_sockets_outlive_the_recording_and_not_maintenance() -> None:
    scene = Scene()
    private = [listening(scene, market) for market in ("spot", *FUTURES)]
    _, market_peer = scene.open("spot", "/ws/btcusdt@bookTicker")
    for stage in scene.world.stages.values():
        stage.broadcast.cut(1001, "the recording begins anew")
    assert market_peer.closed_with
    assert [peer.closed_with for peer in private] == [None] * 3
    scene.world.maintenance(on=True)
    assert [peer.closed_with for peer in private] == [(1001, "maintenance")] * 3


def test_a_new_key_may_be_subscribed_to_where_the_old_one_expired() -> None:
    scene = Scene()
    line, peer = scene.open("usdm", f"/private/ws/{scene.teller.create_listen_key('usdm')}")
    scene.teller.expire_listen_keys("usdm")
    fresh = scene.teller.create_listen_key("usdm")
    line.receive(b'{"method":"SUBSCRIBE","params":["%s"],"id":1}' % fresh.encode())
    peer.heard.clear()
    scene.place("usdm")
    assert states(events(peer)) == [("NEW", "NEW")]


@pytest.mark.parametrize("market", ["spot", *FUTURES])
def test_a_stop_of_somebody_else_s_is_told(market: str) -> None:
    scene = Scene()
    peer = listening(scene, market)
    (instrument,) = scene.teller.holdings.instruments(market)
    number = scene.teller.operator_stop(instrument.id, Side.SELL, instrument.qty_min, instrument.tick)
    scene.teller.operator_cancel(market, number)
    told = events(peer)
    word = "executionReport" if market == "spot" else "ALGO_UPDATE"
    assert [one["e"] for one in told] == [word, word]
    assert [one.get("o", one)["X"] if market != "spot" else one["X"] for one in told] == ["NEW", "CANCELED"]


def test_a_reset_ends_the_streams_of_the_account() -> None:
    scene = Scene()
    spot, usdm = listening(scene, "spot"), listening(scene, "usdm")
    scene.world.reset_account(scene.world.account("spot"))
    scene.world.reset_account(scene.world.account("usdm"))
    assert [one["e"] for one in events(spot)] == ["eventStreamTerminated"]
    assert [one["e"] for one in events(usdm)] == ["listenKeyExpired"]
