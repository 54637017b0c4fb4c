"""Whatever the bytes, a decoder of the trading side ends in a typed value or in `Drift`."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.binance import events, replies, statements
from adapters.binance.decoding import Drift
from bot.model.ids import AccountId
from tests.adapters.binance.decoders import TRADING, samples

SAMPLES = {name: sample for name, sample in samples().items() if sample.decoder in TRADING}
MARKETS = ("spot", "usdm", "coinm")

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["NaN", "-Infinity", "1e999999", "-1", "", "0", "9" * 400, ":", "executionReport", 10**5000, -(2**70)]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


def read_all(market: str, decoder: str, body: bytes) -> None:
    """One decoder, and whatever is made of its answer; only `Drift` may come out."""
    try:
        value = TRADING[decoder](market, body)
    except Drift:
        return
    try:
        follow(value)
    except Drift:
        return


def follow(value: object) -> None:
    match value:
        case events.Event():
            for fact in events.facts_of(value):  # type: ignore[arg-type]
                msgspec.json.encode(fact)
        case replies.Order():
            msgspec.json.encode((replies.accepted(value), replies.reported(value)))
        case tuple():
            for row in value:
                follow(row)
        case statements.Income():
            statements.income_fact(AccountId("binance:usdm"), value)
        case _:
            msgspec.json.encode(value)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything inside a JSON value, itself included."""
    found = [at]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        found += leaves(child, (*at, key))
    return found


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(copy[at[0]], at[1:], new)
    return copy


def without(value: Any, at: tuple[Any, ...]) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1:
        del copy[at[0]]
    else:
        copy[at[0]] = without(copy[at[0]], at[1:])
    return copy


def encoded(value: Any) -> bytes:
    """Unlike msgspec, the standard library writes NaN, Infinity and integers of any size."""
    return json.dumps(value).encode(errors="surrogatepass")


@pytest.mark.parametrize("name", SAMPLES)
def test_a_message_that_lacks_any_one_thing_is_read_or_drift(name: str) -> None:
    sample = SAMPLES[name]
    wire = msgspec.json.decode(bytes(sample.wire))
    for path in leaves(wire)[1:]:
        read_all(sample.market, sample.decoder, encoded(without(wire, path)))


@given(name=st.sampled_from(sorted(SAMPLES)), data=st.data())
@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_message_with_odd_values_is_read_or_drift(name: str, data: st.DataObject) -> None:
    sample = SAMPLES[name]
    wire = msgspec.json.decode(bytes(sample.wire))
    for _ in range(data.draw(st.integers(1, 3))):
        wire = replaced(wire, data.draw(st.sampled_from(leaves(wire))), data.draw(ODD))
    try:
        body = encoded(wire)
    except ValueError:  # an integer that Python itself does not write
        return
    read_all(data.draw(st.sampled_from(MARKETS)), sample.decoder, body)


@given(
    name=st.sampled_from(sorted(SAMPLES)),
    start=st.integers(0, 2000),
    length=st.integers(0, 40),
    junk=st.binary(max_size=12),
    decoder=st.sampled_from(sorted(TRADING)),
)
@settings(max_examples=1500, deadline=None)
def test_a_message_with_damaged_bytes_is_read_or_drift(
    name: str, start: int, length: int, junk: bytes, decoder: str
) -> None:
    sample = SAMPLES[name]
    wire = bytes(sample.wire)
    start = min(start, len(wire))
    damaged = wire[:start] + junk + wire[start + length :]
    read_all(sample.market, sample.decoder, damaged)
    read_all(sample.market, decoder, damaged)


@given(body=st.binary(max_size=60), decoder=st.sampled_from(sorted(TRADING)), market=st.sampled_from(MARKETS))
@example(body=b"<html><title>502 Bad Gateway</title></html>", decoder="order", market="spot")
@example(body=b"[" * 100_000, decoder="event", market="usdm")
@example(body=b'{"e":' + b"[" * 100_000, decoder="event", market="usdm")
@example(body=b"", decoder="ws_reply", market="spot")
@example(body=b'{"id":null,"status":400,"error":{"code":-1102,"msg":"?"}}', decoder="ws_reply", market="spot")
@example(body=b'{"serverTime":99999999999999999999}', decoder="server_time_ns", market="spot")
@settings(max_examples=600, deadline=None)
def test_bytes_that_are_no_message_are_drift(body: bytes, decoder: str, market: str) -> None:
    read_all(market, decoder, body)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "", "abc", "1e99", "9" * 60, "0." + "1" * 60]
)
def test_an_amount_that_is_none_is_drift(number: str) -> None:
    wire = msgspec.json.decode(bytes(SAMPLES["usdm.ORDER_TRADE_UPDATE.trade"].wire))
    for field in ("q", "l", "z", "L", "n"):
        if field == "n" and number == "":
            continue  # the venue leaves the fee out where there is none
        body = encoded(replaced(wire, ("o", field), number))
        with pytest.raises(Drift):
            events.event("usdm", body)


def test_drift_quotes_no_secret() -> None:
    body = b'{"listenKey":"secret key with spaces"}'
    with pytest.raises(Drift) as caught:
        statements.listen_key(body)
    assert "secret" not in str(caught.value)
    with pytest.raises(Drift) as caught:
        events.event("usdm", b'{"e":"listenKeyRenewed","listenKey":"abcdef"}')
    assert "abcdef" not in str(caught.value)


def test_failure_reads_an_error_or_says_what_the_body_was() -> None:
    assert replies.failure(b'{"code":-1121,"msg":"Invalid symbol."}') == replies.Failure(
        -1121, "Invalid symbol."
    )
    assert replies.failure(b"  <html>503</html>") == replies.Failure(0, "an HTML page")
    assert replies.failure(b"").code == 0
    assert len(replies.failure(b'{"code":1,"msg":"' + b"x" * 5000 + b'"}').text) == 200


def test_an_answer_is_told_from_an_event_by_its_id() -> None:
    assert replies.ws_reply_id(bytes(SAMPLES["spot.ws.error"].wire)) == "8"
    assert replies.ws_reply_id(bytes(SAMPLES["spot.balanceUpdate"].wire)) is None
    with pytest.raises(Drift):
        replies.ws_reply_id(b"[]")
    with pytest.raises(Drift):
        replies.ws_reply(b'{"id":"1","status":500}')
