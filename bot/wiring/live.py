"""Wiring of the daemon: settings, a journal that is gone on with, gateways, and the loop that drives them.

`bot.wiring.paper` puts replays together, this module what trades over the network. What must stay true:
whatever refuses a run does so before its journal gets a row, and says which variable to change.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from itertools import count

from adapters.backoff import Backoff
from adapters.network import Network
from bot import __version__
from bot.knobs import ConfigError
from bot.model.facts import SettingsChanged
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.pair import PairState
from bot.model.store import Store
from bot.ports import Clock, LiveGateway
from bot.settings import Settings, changes, load
from bot.shell.boot import Reopened, fresh_run_id, reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import DaemonParts, Outcome, run_daemon
from bot.shell.dialogue import TOKEN_NAME, Access
from bot.shell.logs import configure, note, warn_of
from bot.wiring.doctor import examine, failures
from bot.wiring.venues import (
    BINANCE,
    LiveOptions,
    account_lock,
    ccxt_credentials,
    hosts_of,
    in_loop,
    journal_path,
    key_and_secret,
    keys_of,
    legs_served,
    open_network,
)

_RANDOM = 36 * 36  # two characters of a run's name


def run_live(options: LiveOptions) -> Outcome:
    """Run the daemon until it is told to stop.

    Raises `ConfigError`, `JournalError` and its kinds, `BugExit`, `ClockBehind`, and whatever a gateway
    refuses to go on from.
    """
    settings = load(options.environ, options.env_file)
    configure(secrets=settings.secrets.texts())
    keys = keys_of(settings)
    if settings.config.mode == "live":
        refuse_unfit(options)
    path = journal_path(options, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for key in keys:
            held.callback(account_lock(key).release)
        reopened = reopen(path)
        held.callback(reopened.journal.close)
        _refuse_other_account(settings, reopened)
        return in_loop(_run(options, settings, reopened))


async def _run(options: LiveOptions, settings: Settings, reopened: Reopened) -> Outcome:
    config, now_ns = settings.config, time.time_ns()
    clock = LiveClock(now_ns, time.monotonic)
    network = open_network(config)
    try:
        parts = DaemonParts(
            engine=reopened.engine,
            previous=reopened.previous,
            config=config,
            version=__version__,
            run_id=fresh_run_id(now_ns, secrets.randbelow(_RANDOM)),
            clock=clock,
            gateways=_gateways(settings, network, clock, reopened.engine.store),
            alert=warn_of,
            note=note,
            reload=lambda: _reread(options, reopened),
            stop_grace_s=config.stop_grace_s,
            keep=reopened.journal.keep,
        )
        return await run_daemon(parts, api=_access(options, settings))
    finally:
        await network.close()


def _gateways(
    settings: Settings, network: Network, clock: Clock, store: Store
) -> dict[AccountId, LiveGateway]:
    """One gateway for each venue, under each of its accounts."""
    by_venue: dict[str, list[InstrumentId]] = {}
    for leg in legs_served(settings.config, store):
        by_venue.setdefault(leg.split(":")[0], []).append(leg)
    found: dict[AccountId, LiveGateway] = {}
    for venue, legs in by_venue.items():
        gateway: LiveGateway
        if venue != BINANCE:
            gateway = _on_ccxt(settings, venue, tuple(legs), clock)
        elif settings.config.mode == "paper":
            gateway = _on_paper(settings, tuple(legs), (network, clock), store)
        else:
            gateway = _on_binance(settings, tuple(legs), network, clock)
        found.update({account_of(leg): gateway for leg in legs})
    return found


def _on_paper(
    settings: Settings, legs: tuple[InstrumentId, ...], world: tuple[Network, Clock], store: Store
) -> LiveGateway:
    """Live prices, simulated fills; the simulated account goes on where the journal left it."""
    from adapters.paper.live import PaperLiveGateway
    from adapters.paper.standing import standing_of
    from adapters.paper.terms import terms_of
    from bot.wiring.feeds import open_feeds

    return PaperLiveGateway(
        lambda emit, tap: open_feeds(settings, legs, None, world, emit, tap),
        terms_of(settings.config),
        world[1],
        standing_of(store),
    )


def _on_ccxt(settings: Settings, venue: str, legs: tuple[InstrumentId, ...], clock: Clock) -> LiveGateway:
    """An exchange that has no adapter of its own."""
    if settings.config.mode not in ("testnet", "live"):
        raise ConfigError(
            f"BASISBOT_PAIRS has legs on {venue}, which is traded through ccxt: "
            f"BASISBOT_MODE {settings.config.mode!r} is for {BINANCE} alone"
        )
    from adapters.ccxt.exchange import Access as CcxtAccess
    from adapters.ccxt.gateway import CcxtGateway, CcxtOptions

    access = CcxtAccess(
        name=venue,
        credentials=ccxt_credentials(settings, venue),
        is_demo=settings.config.mode == "testnet",
    )
    return CcxtGateway(CcxtOptions(access=access, legs=legs, config=settings.config), clock)


def _on_binance(
    settings: Settings, legs: tuple[InstrumentId, ...], network: Network, clock: Clock
) -> LiveGateway:
    from adapters.binance.gateway import BinanceGateway, BinanceOptions

    key, secret = key_and_secret(settings)
    options = BinanceOptions(
        legs=legs,
        config=settings.config,
        hosts=hosts_of(settings),
        key=key,
        secret=secret,
    )
    return BinanceGateway(options, network, clock)


def _access(options: LiveOptions, settings: Settings) -> Access | None:
    """Where the local API answers.  Without a token in the settings one is made, and kept beside the journal
    in a file that only its owner can read."""
    port = settings.config.api_port
    if not port:
        return None
    if settings.secrets.api_token is not None:
        return Access(port, settings.secrets.api_token.get_secret_value())
    path = journal_path(options, settings).with_name(TOKEN_NAME)
    token = secrets.token_urlsafe(24)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(token, encoding="utf-8")
    note("token of the local API made", {"file": str(path), "variable": "BASISBOT_API_TOKEN_FILE"})
    return Access(port, token)


# --- refusals ---------------------------------------------------------------------------------------------


def refuse_unfit(options: LiveOptions) -> None:
    """Real money is traded after everything that can be checked was.

    A venue that does not answer is asked again, for ever: a run that gave up would leave what is open alone.
    """
    told = ""
    for attempt in count(1):
        failed = failures(examine(options))
        if not failed:
            return
        sentence = "; ".join(f"{one.check}: {one.text}" for one in failed)
        if not all(one.may_pass for one in failed):
            raise ConfigError(f"`basisbot doctor` finds: {sentence}")
        if sentence != told:
            note("the venue is asked again", {"reason": sentence})
        told = sentence
        time.sleep(Backoff().delay_s(attempt, sentence))


def _refuse_other_account(settings: Settings, reopened: Reopened) -> None:
    """A journal knows one account in one mode, and where the legs of its pairs are."""
    store, config = reopened.engine.store, settings.config
    if store.config is not None and store.config.mode != config.mode:
        raise ConfigError(
            f"journal {reopened.engine.journal.path} is of mode {store.config.mode!r}, but BASISBOT_MODE is "
            f"{config.mode!r}: give another file by BASISBOT_JOURNAL"
        )
    for spec in config.pairs:
        known = store.pairs.get(spec.name)
        if known is not None and (known.spec.long, known.spec.short) != (spec.long, spec.short):
            state = "is open" if known.state is not PairState.FLAT else "the journal knows"
            raise ConfigError(
                f"BASISBOT_PAIRS changes the legs of {spec.name}, which {state}: name the new one otherwise"
            )


def _reread(options: LiveOptions, reopened: Reopened) -> SettingsChanged | str:
    """The settings as they are now, if nothing but what a living run can take over differs."""
    try:
        fresh = load(options.environ, options.env_file).config
    except ConfigError as refusal:
        return str(refusal)
    before = reopened.engine.store.config
    if before is None:
        return "the run has not begun"
    tunable, fixed = changes(before, fresh)
    if fixed:
        return f"{', '.join(fixed)} can only change with a restart; nothing was taken over"
    return SettingsChanged(fresh, "sighup") if tunable else "nothing differs"
