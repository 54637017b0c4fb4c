"""What a live run and the doctor are both made of: hosts, the fenced network, keys and locks.

What must stay true: only a run whose mode is testnet or live may reach a host beyond this machine with an
order. The fence stands in the network that everything else is given, not in the good will of what is built
on it; paper goes beyond it for prices, and has no key.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from adapters.errors import FeedError
from bot.contradictions import paper_cash
from bot.knobs import ConfigError
from bot.model.config import Config
from bot.model.ids import InstrumentId, account_of, market_of
from bot.model.pair import PairState, Role
from bot.model.store import Store, live_orders
from bot.settings import Settings, default_journal
from bot.shell.lock import FileLock, LockTaken

if TYPE_CHECKING:
    from adapters.binance.endpoints import Hosts
    from adapters.ccxt.exchange import Access
    from adapters.network import Network

Answer = TypeVar("Answer")

BINANCE = "binance"
REMOTE = frozenset({"paper", "testnet", "live"})  # modes that ask hosts beyond this machine


class LiveOptions(Struct, frozen=True, kw_only=True):
    """What the command line asks for; an absent path is the settings'."""

    environ: dict[str, str]
    env_file: Path | None = None
    journal: Path | None = None


def in_loop(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run on uvloop where the platform has it."""
    factory: Callable[[], asyncio.AbstractEventLoop]
    try:
        from uvloop import new_event_loop as factory
    except ImportError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def examples_folder(needed: str) -> Path:
    """The files that come with the program, ``needed`` among them: in the package, else in the repository.

    Raises `ConfigError` where they are not installed."""
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "examples", here.parent / "examples"):
        if (folder / needed).is_file():
            return folder
    raise ConfigError(f"{needed} is not installed; run it from a checkout of the repository")


def legs_of(config: Config) -> tuple[InstrumentId, ...]:
    return tuple(dict.fromkeys(pair.instrument(role) for pair in config.pairs for role in Role))


def refuse_unknown_venues(settings: Settings) -> None:
    """Raises `ConfigError` or `FeedError` for a leg whose venue, or market of Binance, does not exist or is
    not for this mode."""
    markets = hosts_of(settings)
    for leg in legs_of(settings.config):
        venue = leg.split(":")[0]
        if venue != BINANCE:
            _refuse_unknown_of_ccxt(settings, leg)
        elif market_of(leg) not in markets:
            raise ConfigError(
                f"BASISBOT_PAIRS has the leg {leg}, but {BINANCE}'s markets are {', '.join(markets)}"
            )
    _refuse_one_wallet(settings)


def _refuse_one_wallet(settings: Settings) -> None:
    """Two accounts of ours that are one wallet at the venue would each count its money as their own."""
    from adapters.ccxt.markets import ONE_WALLET

    families: dict[str, dict[str, None]] = {}
    for leg in legs_of(settings.config):
        venue = leg.split(":")[0]
        if venue in ONE_WALLET and ccxt_access(settings, venue).credentials:
            families.setdefault(venue, {})[market_of(leg)] = None
    for venue, used in families.items():
        if len(used) > 1:
            raise ConfigError(
                f"BASISBOT_PAIRS has legs of {venue} in {' and '.join(used)}, which {venue} keeps in one "
                "wallet: its money would be counted twice; trade one of them there"
            )


def _refuse_unknown_of_ccxt(settings: Settings, leg: InstrumentId) -> None:
    from adapters.ccxt.exchange import capability
    from adapters.ccxt.markets import FAMILIES

    access = ccxt_access(settings, leg.split(":")[0])
    can = capability(access.name)
    if market_of(leg) not in FAMILIES:
        raise ConfigError(
            f"BASISBOT_PAIRS has the leg {leg}, but the markets of {access.name} are {', '.join(FAMILIES)}"
        )
    if access.credentials and not access.may_trade:
        raise ConfigError(
            f"BASISBOT_PAIRS has the leg {leg}, which BASISBOT_MODE {settings.config.mode!r} cannot trade: "
            f"{can}"
        )


def unusable(settings: Settings) -> tuple[str, ...]:
    """Why a run with these settings could not be begun, a sentence each, without asking any venue."""

    def refuse_money(settings: Settings) -> None:
        if settings.config.mode == "paper":
            refuse_unusable_money(settings.config)

    found: dict[str, None] = {}
    for refuse in (refuse_unknown_venues, keys_of, refuse_money):
        try:
            refuse(settings)
        except (ConfigError, FeedError) as refusal:
            found[str(refusal)] = None
    return tuple(found)


def refuse_unusable_money(config: Config) -> None:
    """A misspelt account or market would be money or a fee that a paper run does not have, and too little
    money would never trade.

    Raises `ConfigError`."""
    from adapters.binance.market import RULES

    through_ccxt = [leg for leg in legs_of(config) if leg.split(":")[0] != BINANCE]
    accounts = [*(f"{BINANCE}:{market}" for market in RULES), *map(account_of, through_ccxt)]
    for balance in config.paper_balances:
        if balance.account not in accounts:
            raise ConfigError(
                f"BASISBOT_PAPER_BALANCES names the account {balance.account}; "
                f"there are {', '.join(dict.fromkeys(accounts))}"
            )
    markets = dict.fromkeys((*RULES, *map(market_of, through_ccxt)))
    for market in config.paper_fees_bps:
        if market not in markets:
            raise ConfigError(
                f"BASISBOT_PAPER_FEES_BPS names the market {market}; there are {', '.join(markets)}"
            )
    missing = "; ".join(paper_cash(config))
    if missing:
        raise ConfigError(missing)


def legs_served(config: Config, store: Store) -> tuple[InstrumentId, ...]:
    """The legs of the configured pairs, and of those that left the settings while something of them was open:
    nobody can close what nobody hears of."""
    live = {order.pair for order in live_orders(store)}
    left = [
        leg.instrument
        for name, pair in store.pairs.items()
        if pair.state is not PairState.FLAT or name in live
        for leg in pair.legs
    ]
    return tuple(dict.fromkeys((*legs_of(config), *left)))


def journal_path(options: LiveOptions, settings: Settings) -> Path:
    return options.journal or settings.journal or default_journal(settings.config.mode)


def hosts_of(settings: Settings) -> Mapping[str, Hosts]:
    """Binance's hosts for the mode.  Raises `ConfigError` for a rehearsal without its servers' ports."""
    from adapters.binance.endpoints import hosts

    mode = settings.config.mode
    if mode == "rehearsal":
        if settings.rehearsal_ports is None:
            raise ConfigError(
                "BASISBOT_MODE is 'rehearsal', but BASISBOT_REHEARSAL_PORTS is not set: "
                "run `basisbot rehearse`, or name the ports that `basisbot rehearse --serve` printed"
            )
        return hosts("rehearsal", settings.rehearsal_ports)
    return hosts("testnet" if mode == "testnet" else "live")


def open_network(config: Config) -> Network:
    """TCP, fenced: a rehearsal does not leave this machine."""
    from adapters.tcp import TcpNetwork

    return TcpNetwork(allow_remote=config.mode in REMOTE)


def key_and_secret(settings: Settings) -> tuple[str, str]:
    """The venue's key; two empty texts for paper, which must have none to use.

    Raises `ConfigError` where whoever trades an account has not named its key."""
    secrets = settings.secrets
    if settings.config.mode == "paper":
        return "", ""
    for name, found in (("KEY", secrets.binance_key), ("SECRET", secrets.binance_secret)):
        if found is None:
            raise ConfigError(
                f"BASISBOT_MODE is {settings.config.mode!r}, but BASISBOT_BINANCE_{name} is not set "
                f"(nor BASISBOT_BINANCE_{name}_FILE)"
            )
    assert secrets.binance_key is not None
    assert secrets.binance_secret is not None
    return secrets.binance_key.get_secret_value(), secrets.binance_secret.get_secret_value()


def ccxt_credentials(settings: Settings, venue: str) -> dict[str, str]:
    """The credentials of an exchange traded through ccxt.  Raises `ConfigError` where there are none."""
    words = settings.secrets.ccxt.get(venue)
    if not words:
        raise ConfigError(
            f"BASISBOT_PAIRS has legs on {venue}, but BASISBOT_CCXT_CREDENTIALS holds no {venue!r}"
        )
    return {word: value.get_secret_value() for word, value in words.items()}


def ccxt_access(settings: Settings, venue: str) -> Access:
    """How to reach an exchange that has no adapter of its own; on paper without a key.

    Raises `ConfigError` for one that is to be traded and has no credentials, and in a rehearsal, whose
    servers speak for Binance alone.
    """
    from adapters.ccxt.exchange import Access

    mode = settings.config.mode
    if mode == "paper":
        return Access(name=venue)
    if mode not in ("testnet", "live"):
        raise ConfigError(
            f"BASISBOT_PAIRS has legs on {venue}, which is traded through ccxt: "
            f"BASISBOT_MODE {mode!r} is for {BINANCE} alone"
        )
    return Access(name=venue, credentials=ccxt_credentials(settings, venue), is_demo=mode == "testnet")


def keys_of(settings: Settings) -> tuple[str, ...]:
    """The API keys that trade, each once; none on paper.  Raises `ConfigError` where one is missing."""
    if settings.config.mode == "paper":
        return ()
    venues = dict.fromkeys(leg.split(":")[0] for leg in legs_of(settings.config))
    keys = (
        key_and_secret(settings)[0]
        if venue == BINANCE
        else ccxt_credentials(settings, venue).get("apiKey", venue)
        for venue in venues
    )
    return tuple(dict.fromkeys(keys))


def account_lock(key: str) -> FileLock:
    """One daemon for one key on one machine; on two machines, the second one's orders give it away.

    Raises `ConfigError` where another process holds it."""
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    try:
        return FileLock(Path(tempfile.gettempdir()) / f"basisbot-{name}")
    except LockTaken:
        raise ConfigError(
            "another daemon on this machine trades with this API key: stop it, or use another key"
        ) from None
