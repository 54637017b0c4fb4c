"""Signing: the documentation's own examples, both kinds of key, and encoding before signing."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.binance.signing import BadSecret, encoded, plain, signer

# the venue's request security pages, REST and WebSocket API
KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
REST = [("side", "BUY"), ("type", "LIMIT"), ("timeInForce", "GTC"), ("quantity", "1"), ("price", "0.1"),
        ("recvWindow", "5000"), ("timestamp", "1499827319559")]  # fmt: skip
WS = [("apiKey", KEY), ("timeInForce", "GTC"), ("timestamp", "1645423376532"), ("type", "LIMIT")]


def pem(private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.mark.parametrize(
    ("symbol", "signature"),
    [
        ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
        ("１２３４５６", "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3"),
    ],
)
def test_rest_is_signed_as_the_documentation_shows(symbol: str, signature: str) -> None:
    assert signer(KEY, SECRET).sign(encoded([("symbol", symbol), *REST])) == signature


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            [("symbol", "BTCUSDT"), ("side", "SELL"), ("quantity", "0.01000000"), ("price", "52000.00"),
             ("recvWindow", "100")],
            "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
        ),
        (
            [("symbol", "１２３４５６"), ("side", "BUY"), ("quantity", "1.00000000"),
             ("price", "0.10000000"), ("recvWindow", "5000")],
            "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
        ),
    ],
)  # fmt: skip
def test_the_web_socket_api_is_signed_as_the_documentation_shows(
    params: list[tuple[str, str]], signature: str
) -> None:
    assert signer(KEY, SECRET).sign(plain([*params, *WS])) == signature


def test_ed25519_signs_as_rfc_8032_shows() -> None:
    # section 7.1, test 2: one byte, 0x72, which is the letter r
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    by = signer("key", "\n" + pem(Ed25519PrivateKey.from_private_bytes(seed)) + "\n")
    assert base64.b64decode(by.sign("r")) == signature
    assert by.key == "key"


def test_a_signer_signs_again_and_again_alike() -> None:
    by = signer(KEY, SECRET)
    first = by.sign("a=1")
    by.sign("b=2")
    assert by.sign("a=1") == first


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ([("a", "x y"), ("b", "1+1=2&3")], "a=x%20y&b=1%2B1%3D2%263"),
        ([("a", "-._~")], "a=-._~"),
        ([("a", "/:@[]\"'*")], "a=%2F%3A%40%5B%5D%22%27%2A"),
        ([("symbol", "币安人生USDT")], "symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"),
        ([], ""),
    ],
)
def test_parameters_are_percent_encoded_in_their_order(params: list[tuple[str, str]], text: str) -> None:
    assert encoded(params) == text


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("", SECRET, "empty"),
        (KEY, "", "empty"),
        (KEY, "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----", "no private key"),
        (KEY, "-----BEGIN PUBLIC KEY-----", "no private key"),
        (KEY, pem(ec.generate_private_key(ec.SECP256R1())), "not an Ed25519 one"),
    ],
)
def test_a_secret_that_cannot_sign_is_refused_and_not_quoted(key: str, secret: str, words: str) -> None:
    with pytest.raises(BadSecret, match=words) as caught:
        signer(key, secret)
    assert not secret or secret[-30:] not in str(caught.value)
    assert caught.value.__cause__ is None
