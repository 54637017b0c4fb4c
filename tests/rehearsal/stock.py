"""Stock ccxt pointed at the rehearsal servers: its URLs and its keys are changed and nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

Said = Mapping[str, str]  # what the servers print first

# ccxt tells a spot socket from a contract's by "/stream" in its URL, as in wss://stream.binance.com
_SERVED = {
    "api.binance.com": ("spot_rest", ""),
    "fapi.binance.com": ("usdm_rest", ""),
    "dapi.binance.com": ("coinm_rest", ""),
    "stream.binance.com": ("spot_ws", "/stream"),
    "fstream.binance.com": ("usdm_ws", ""),
    "dstream.binance.com": ("coinm_ws", ""),
    "ws-api.binance.com": ("spot_wsapi", ""),
    "ws-fapi.binance.com": ("usdm_wsapi", ""),
    "ws-dapi.binance.com": ("coinm_wsapi", ""),
}


def pointed_urls(urls: Mapping[str, Any], said: Said) -> dict[str, Any]:
    """Every URL of a host that is served, moved there; paths stay."""
    moved: dict[str, Any] = {}
    for name, url in urls.items():
        if isinstance(url, Mapping):
            moved[name] = pointed_urls(url, said)
            continue
        parts = urlsplit(url)
        root, prefix = _SERVED.get(parts.hostname or "", ("", ""))
        moved[name] = f"{said[root]}{prefix}{parts.path}" if root else url
    return moved


def stock(module: str, name: str, said: Said, key: str = "hmac") -> Any:
    """``module`` is ``async_support`` or ``pro``, ``key`` is ``hmac``, ``ed25519`` or ``none``."""
    prefix = "ed25519_" if key == "ed25519" else ""
    keys = {} if key == "none" else {"apiKey": said[f"{prefix}api_key"], "secret": said[f"{prefix}secret"]}
    exchange = getattr(importlib.import_module(f"ccxt.{module}"), name)(keys)
    exchange.urls["api"] = pointed_urls(exchange.urls["api"], said)
    return exchange
