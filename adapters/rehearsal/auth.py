"""Who asks, and whether the venue believes it: API keys, signatures, times.

A signature covers the text of query and body exactly as they came, its own part left out, or, over the
WebSocket API, all parameters sorted by name.  Both kinds of key open the same account: HMAC-SHA256 (hex) and
Ed25519 (base64).  What must stay true: nothing is parsed before it is verified against the very bytes that
were sent, signatures are compared in constant time, and no text of a refusal repeats a key, a secret or a
signature.

Sources: request security of the venue's REST and WebSocket APIs (spot and futures documentation and SDKs:
binance_sdk_spot 13.3.0, derivatives 18.1.0 and 14.1.0, read 2026-11-20).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec import Struct, field

Params = Mapping[str, str]

_AHEAD_MS = 1_000
_WINDOW_MS = 5_000
_WINDOW_MAX_MS = 60_000
_KEY_LENGTH = 64
_MICRO_DIGITS = 16  # of a present time in microseconds
_TIMES = ("timestamp", "startTime", "endTime")


class Refused(Exception):
    """The venue's own error: HTTP status, code and text, and from when on it may be tried again, if that is
    said."""

    def __init__(self, code: int, text: str, status: int = 400, until_ms: int = 0) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text
        self.status = status
        self.until_ms = until_ms


class Keys(Struct, frozen=True):
    """The two keys of the one account.  ``ed25519_secret`` is a private key in PEM (PKCS#8),
    ``ed25519_public`` its public half, 32 bytes."""

    api_key: str
    secret: str
    ed25519_api_key: str
    ed25519_secret: str
    ed25519_public: bytes


class Permissions(Struct):
    """What the keys may do, as ``/sapi/v1/account/apiRestrictions`` tells it; the rehearsal changes it to
    show what a badly made key meets."""

    reading: bool = True
    spot: bool = True
    futures: bool = True
    withdrawals: bool = False
    ip_refused: bool = False


def missing(name: str) -> Refused:
    return Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def make_keys(entropy: bytes) -> Keys:
    """Two keys derived from ``entropy``, which is a secret of at least 16 bytes, or a fixed text in a
    test."""
    api_key, secret, other_key, seed = (
        hashlib.sha256(name + b"\x00" + entropy) for name in (b"key", b"secret", b"ed25519-key", b"ed25519")
    )
    private = Ed25519PrivateKey.from_private_bytes(seed.digest())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Keys(api_key.hexdigest(), secret.hexdigest(), other_key.hexdigest(), pem.decode(), public)


class Gate(Struct):
    """The account's keys and what they may do now."""

    keys: Keys
    permissions: Permissions = field(default_factory=Permissions)

    def identify(self, api_key: str | None, market: str) -> str:
        """The known key, or a refusal with HTTP status 401."""
        if api_key is None or len(api_key) != _KEY_LENGTH or not api_key.isalnum():
            raise Refused(-2014, "API-key format invalid.", 401)
        known = (self.keys.api_key, self.keys.ed25519_api_key)
        allowed = self.permissions.spot if market == "spot" else self.permissions.futures
        same = [hmac.compare_digest(api_key, one) for one in known]
        if not any(same) or not allowed or self.permissions.ip_refused:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return api_key

    def is_ed25519(self, api_key: str) -> bool:
        return hmac.compare_digest(api_key, self.keys.ed25519_api_key)

    def verify(self, api_key: str, payload: bytes, signature: str) -> None:
        """Raises `Refused` unless ``signature`` is that of ``payload`` under ``api_key``."""
        if self.is_ed25519(api_key):
            good = _ed25519_matches(self.keys.ed25519_public, payload, signature)
        else:
            expected = hmac.new(self.keys.secret.encode(), payload, hashlib.sha256).hexdigest()
            good = hmac.compare_digest(expected.encode(), signature.lower().encode())
        if not good:
            raise Refused(-1022, "Signature for this request is not valid.")


def signed_params(
    gate: Gate, api_key: str | None, market: str, texts: tuple[str, str], now_ms: int
) -> Params:
    """The parameters of a signed REST request, query first, or a refusal.

    ``texts`` are query and body as they were sent; the signature covers them joined without a separator.
    """
    known = gate.identify(api_key, market)
    params = in_milliseconds(market, read_params(*texts))
    signature = params.get("signature", "")
    if not signature:
        raise missing("signature")
    check_time(params, now_ms)
    payload = "".join(_unsigned(text) for text in texts)
    gate.verify(known, payload.encode(), signature)
    return params


def sorted_payload(params: Params) -> bytes:
    """What a request over the WebSocket API signs: every parameter but the signature, sorted by name."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature").encode()


def read_params(query: str, body: str) -> Params:
    """Decoded parameters; one that is in query and body is the query's.

    Raises `Refused` for one that stands twice in the same text.
    """
    merged: dict[str, str] = {}
    for text in (query, body):
        pairs = parse_qsl(text, keep_blank_values=True)
        if len({name for name, _ in pairs}) < len(pairs):
            raise Refused(-1101, "Too many parameters; expected '1' and received '2'.")
        for name, value in pairs:
            merged.setdefault(name, value)
    return merged


def in_milliseconds(market: str, params: Params) -> Params:
    """The parameters with their times in milliseconds; on spot they may come in microseconds."""
    if market != "spot":
        return params
    long = {
        name: params[name][:-3]
        for name in _TIMES
        if params.get(name, "").isdigit() and len(params[name]) >= _MICRO_DIGITS
    }
    return {**params, **long} if long else params


def check_time(params: Params, now_ms: int) -> None:
    """The venue's rule: not more than a second ahead of its clock, not more than the window behind it."""
    sent = params.get("timestamp", "")
    if not (sent.isascii() and sent.isdigit() and len(sent) < 20):
        raise missing("timestamp")
    window = params.get("recvWindow", str(_WINDOW_MS))
    if not (window.isascii() and window.replace(".", "", 1).isdigit()):
        raise missing("recvWindow")
    if float(window) > _WINDOW_MAX_MS:
        raise Refused(-1131, "recvWindow must be less than 60000")
    if int(sent) >= now_ms + _AHEAD_MS:
        raise Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - int(sent) > float(window):
        raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def _unsigned(text: str) -> str:
    return "&".join(part for part in text.split("&") if not part.startswith("signature="))


def _ed25519_matches(public: bytes, payload: bytes, signature: str) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature, validate=True), payload)
    except (InvalidSignature, binascii.Error):
        return False
    return True
