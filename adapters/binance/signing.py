"""Signing of Binance's requests.

The venue takes two kinds of key alike: a shared secret (HMAC-SHA256, the signature in hexadecimal) and an
Ed25519 key pair (the signature in base64), told apart here by the form of the secret.  What is signed is the
text that is sent: parameters are percent-encoded first, so that a symbol or an id outside ASCII verifies too
(the venue refuses the other order with -1022 since 2026-01-15).  The WebSocket API is the exception: its
parameters are JSON, so the signature is over their plain UTF-8 text, sorted by name.  No secret leaves this
module.

Sources: the venue's request security pages of REST and WebSocket API (2026-06), whose examples are in the
tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

Params = Sequence[tuple[str, str]]


class Signer(Protocol):
    @property
    def key(self) -> str:
        """The API key, which the venue calls public; not to be logged all the same."""
        ...

    def sign(self, payload: str) -> str:
        """The signature of ``payload``, not percent-encoded."""
        ...


class BadSecret(Exception):
    """The secret is neither text for HMAC nor an Ed25519 private key in PEM; it is never quoted."""


class _Hmac:
    def __init__(self, key: str, secret: str) -> None:
        self.key = key
        self._state = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def sign(self, payload: str) -> str:
        state = self._state.copy()  # the key's schedule is computed once
        state.update(payload.encode())
        return state.hexdigest()


class _Ed25519:
    def __init__(self, key: str, secret: str) -> None:
        # cryptography costs 40 ms to import and only such keys need it
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self.key = key
        try:
            private = load_pem_private_key(secret.strip().encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise BadSecret("the secret looks like PEM but no private key can be read from it") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise BadSecret("the secret is a private key but not an Ed25519 one; make an Ed25519 key")
        self._private = private

    def sign(self, payload: str) -> str:
        return base64.b64encode(self._private.sign(payload.encode())).decode()


def signer(key: str, secret: str) -> Signer:
    """The signer of a key: Ed25519 for a secret in PEM, HMAC-SHA256 for any other text.  Raises
    `BadSecret`."""
    if not key or not secret:
        raise BadSecret("key or secret is empty")
    if "-----BEGIN" in secret:
        return _Ed25519(key, secret)
    return _Hmac(key, secret)


def encoded(params: Params) -> str:
    """Parameters as a query: percent-encoded by RFC 3986 over UTF-8, in the order given."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)


def plain(params: Params) -> str:
    """Parameters as the WebSocket API signs them: sorted by name, not encoded, without ``signature``."""
    return "&".join(f"{name}={value}" for name, value in sorted(params))
