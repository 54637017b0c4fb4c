"""Run the command line with every host of ccxt, and of Binance on paper, on the rehearsal servers.

    python -m tests.rehearsal.ccxt_daemon SERVERS ARGUMENT...

SERVERS is the file with the servers' first line.  Nothing but URLs is changed: the classes are ccxt's own.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters.binance.endpoints import hosts
from adapters.ccxt import exchange
from bot.__main__ import main as run
from bot.wiring import doctor, feeds
from tests.rehearsal.stock import pointed_urls


def point(said: Mapping[str, str]) -> None:
    """Have this process talk to the servers."""
    real = exchange._opened

    def opened(access: exchange.Access, *more: Any) -> Any:
        stock = getattr(exchange.library(), access.name)()
        here = {"api": pointed_urls(stock.urls["api"], said)}
        return real(msgspec.structs.replace(access, urls=here, is_demo=False, allow_remote=False), *more)

    ports = tuple(urlsplit(said[f"{market}_rest"]).port or 0 for market in ("spot", "usdm", "coinm"))
    served = hosts("rehearsal", (ports[0], ports[1], ports[2]))
    changes = (
        (exchange, "_opened", opened),
        *((one, "hosts_of", lambda _: served) for one in (feeds, doctor)),
    )
    for module, name, changed in changes:
        setattr(module, name, changed)


def main() -> None:
    servers, *arguments = sys.argv[1:]
    point(msgspec.json.decode(Path(servers).read_bytes(), type=dict[str, str]))
    sys.argv = ["basisbot", *arguments]
    run()


if __name__ == "__main__":
    main()
