"""Keys, signatures and times: who is believed, and in which words the others are refused."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest

from adapters.rehearsal.auth import Gate, Keys, Refused, make_keys, read_params, signed_params, sorted_payload
from tests.adapters.rehearsal.scene import KEYS, signature

NOW_MS = 1_795_000_000_000


def refusal(
    query: str, body: str = "", api_key: str | None = KEYS.api_key, gate: Gate | None = None
) -> Refused:
    with pytest.raises(Refused) as caught:
        signed_params(gate or Gate(KEYS), api_key, "spot", (query, body), NOW_MS)
    return caught.value


def signed(params: dict[str, object], ed25519: bool = False) -> str:
    query = urlencode(params)
    return f"{query}&signature={quote(signature(KEYS, query, ed25519), safe='')}"


def test_keys_follow_from_the_entropy_alone() -> None:
    assert make_keys(b"one") == make_keys(b"one")
    assert make_keys(b"one") != make_keys(b"two")
    assert len(KEYS.api_key) == len(KEYS.ed25519_api_key) == 64
    assert KEYS.ed25519_secret.startswith("-----BEGIN PRIVATE KEY-----")


def test_the_venue_s_published_example_is_believed() -> None:
    """Key, secret, parameters and signature of the SIGNED example in the spot REST documentation."""
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    keys = Keys(key, secret, KEYS.ed25519_api_key, KEYS.ed25519_secret, KEYS.ed25519_public)
    query = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
        "&timestamp=1499827319559"
    )
    sent = f"{query}&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    params = signed_params(Gate(keys), key, "spot", (sent, ""), 1_499_827_319_559)
    assert params["symbol"] == "LTCBTC"


@pytest.mark.parametrize("ed25519", [False, True])
def test_query_and_body_are_signed_as_they_were_sent(ed25519: bool) -> None:
    query, body = "symbol=BTCUSDT", f"note=%E4%BD%A0%20x&timestamp={NOW_MS}"
    proof = quote(signature(KEYS, query + body, ed25519), safe="")
    key = KEYS.ed25519_api_key if ed25519 else KEYS.api_key
    for texts in (
        (query, f"{body}&signature={proof}"),
        (f"{query}&signature={proof}", body),
        (f"signature={proof}&{query}", body),
    ):
        params = signed_params(Gate(KEYS), key, "spot", texts, NOW_MS)
        assert params["note"] == "你 x"


@pytest.mark.parametrize("ed25519", [False, True])
def test_a_signature_of_other_bytes_is_refused(ed25519: bool) -> None:
    key = KEYS.ed25519_api_key if ed25519 else KEYS.api_key
    good = signed({"symbol": "BTCUSDT", "timestamp": NOW_MS}, ed25519)
    for bad in (
        good.replace("BTCUSDT", "ETHUSDT"),
        good[:-1],
        f"{good}x",
        good.replace("symbol", "%73ymbol"),
    ):
        error = refusal(bad, api_key=key)
        assert (error.code, error.status) == (-1022, 400)
    other = refusal(signed({"timestamp": NOW_MS}, not ed25519), api_key=key)
    assert other.code == -1022


def test_no_refusal_repeats_a_secret() -> None:
    for query in (signed({"timestamp": NOW_MS}) + "x", signed({"timestamp": 1})):
        said = str(refusal(query))
        assert KEYS.secret not in said
        assert KEYS.api_key not in said


@pytest.mark.parametrize(
    ("api_key", "code"),
    [(None, -2014), ("", -2014), ("short", -2014), ("x" * 63 + "-", -2014), ("a" * 64, -2015)],
)
def test_a_key_that_is_not_ours_is_refused_with_401(api_key: str | None, code: int) -> None:
    error = refusal(signed({"timestamp": NOW_MS}), api_key=api_key)
    assert (error.code, error.status) == (code, 401)


def test_a_key_without_permission_is_refused_where_it_may_not_trade() -> None:
    gate = Gate(KEYS)
    gate.permissions.futures = False
    assert gate.identify(KEYS.api_key, "spot") == KEYS.api_key
    for market in ("usdm", "coinm"):
        with pytest.raises(Refused) as caught:
            gate.identify(KEYS.api_key, market)
        assert (caught.value.code, caught.value.status) == (-2015, 401)
    gate.permissions.ip_refused = True
    assert refusal(signed({"timestamp": NOW_MS}), gate=gate).code == -2015


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"timestamp": NOW_MS - 5_001}, -1021),
        ({"timestamp": NOW_MS + 1_000}, -1021),
        ({"timestamp": NOW_MS - 101, "recvWindow": 100}, -1021),
        ({"timestamp": NOW_MS - 1, "recvWindow": "0.5"}, -1021),
        ({"timestamp": NOW_MS, "recvWindow": 60_001}, -1131),
        ({"timestamp": NOW_MS, "recvWindow": "x"}, -1102),
        ({"timestamp": "soon"}, -1102),
        ({"symbol": "BTCUSDT"}, -1102),
    ],
)
def test_times_outside_the_window_are_refused(params: dict[str, object], code: int) -> None:
    assert refusal(signed(params)).code == code


@pytest.mark.parametrize(
    "params",
    [
        {"timestamp": NOW_MS - 5_000},
        {"timestamp": NOW_MS + 999},
        {"timestamp": NOW_MS - 59_000, "recvWindow": 60_000},
        {"timestamp": NOW_MS - 1, "recvWindow": "1.5"},
    ],
)
def test_times_inside_the_window_are_believed(params: dict[str, object]) -> None:
    assert signed_params(Gate(KEYS), KEYS.api_key, "spot", (signed(params), ""), NOW_MS)


def test_a_missing_signature_and_a_doubled_parameter_are_named() -> None:
    assert refusal(f"timestamp={NOW_MS}").code == -1102
    with pytest.raises(Refused) as caught:
        read_params("symbol=A&symbol=B", "")
    assert caught.value.code == -1101
    assert read_params("symbol=A", "symbol=B&side=BUY") == {"symbol": "A", "side": "BUY"}


def test_the_websocket_api_signs_sorted_parameters_without_the_signature() -> None:
    params = {"timestamp": "2", "apiKey": "k", "signature": "s", "price": "0.10"}
    assert sorted_payload(params) == b"apiKey=k&price=0.10&timestamp=2"
