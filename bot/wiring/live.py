"""Wiring of the daemon: settings, a journal that is gone on with, gateways, and the loop that drives them.

`bot.wiring.paper` puts replays together, this module what trades over the network. What must stay true:
whatever refuses a run does so before its journal gets a row, and says which variable to change.
"""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from itertools import count

from msgspec.structs import replace

from adapters.backoff import Backoff
from adapters.network import Network, Unanswered, Unsent
from bot import __version__
from bot.knobs import ConfigError
from bot.model.facts import SettingsChanged
from bot.model.ids import AccountId, InstrumentId, account_of
from bot.model.pair import PairState
from bot.model.store import Store
from bot.ports import Clock, Emit, LiveGateway
from bot.settings import Settings, changes, load
from bot.shell.boot import Reopened, fresh_run_id, reopen
from bot.shell.clock import LiveClock
from bot.shell.daemon import DaemonParts, Outcome, run_daemon
from bot.shell.dialogue import Access, token_file
from bot.shell.logs import configure, note, warn_of
from bot.wiring.doctor import examine, failures
from bot.wiring.venues import (
    BINANCE,
    LiveOptions,
    account_lock,
    ccxt_access,
    hosts_of,
    in_loop,
    journal_path,
    key_and_secret,
    keys_of,
    legs_served,
    open_network,
    refuse_unknown_venues,
    refuse_unusable_money,
)

_RANDOM = 36 * 36  # two characters of a run's name


def run_live(options: LiveOptions) -> Outcome:
    """Run the daemon until it is told to stop.

    Raises `ConfigError`, `JournalError` and its kinds, `BugExit`, `ClockBehind`, and whatever a gateway
    refuses to go on from.
    """
    settings = load(options.environ, options.env_file)
    configure(secrets=settings.secrets.texts())
    refuse_unknown_venues(settings)
    keys = keys_of(settings)
    if settings.config.mode == "live":
        refuse_unfit(options)
    if settings.config.mode == "paper":
        refuse_unusable_money(settings.config)
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
            reload=lambda: _reread(options, settings, reopened),
            stop_grace_s=config.stop_grace_s,
            keep=reopened.journal.keep,
        )
        return await run_daemon(parts, api=_access(options, settings))
    finally:
        await network.close()


def _gateways(
    settings: Settings, network: Network, clock: Clock, store: Store
) -> dict[AccountId, LiveGateway]:
    """One gateway for each venue, under each of its accounts; on paper one venue stands for all."""
    legs = legs_served(settings.config, store)
    if settings.config.mode == "paper":
        paper = _on_paper(settings, legs, (network, clock), store)
        return {account_of(leg): paper for leg in legs}
    by_venue: dict[str, list[InstrumentId]] = {}
    for leg in legs:
        by_venue.setdefault(leg.split(":")[0], []).append(leg)
    found: dict[AccountId, LiveGateway] = {}
    for venue, names in by_venue.items():
        gateway = (
            _on_binance(settings, tuple(names), network, clock)
            if venue == BINANCE
            else _on_ccxt(settings, venue, tuple(names), clock)
        )
        found.update({account_of(leg): gateway for leg in names})
    return found


def _on_paper(
    settings: Settings, legs: tuple[InstrumentId, ...], world: tuple[Network, Clock], store: Store
) -> LiveGateway:
    """Live prices, simulated fills; the simulated accounts go on where the journal left them."""
    from adapters.paper.live import PaperLiveGateway, Tap
    from adapters.paper.standing import standing_of
    from adapters.paper.terms import terms_of
    from bot.wiring.feeds import OpenedFeeds, open_feeds

    told = ""

    async def opened(emit: Emit, tap: Tap) -> OpenedFeeds:
        nonlocal told
        try:
            feeds = await open_feeds(settings, legs, None, world, emit, tap)
        except (Unsent, Unanswered) as silence:
            if told != (told := str(silence)):
                note("the venue is asked again", {"reason": told})
            raise
        for sentence in feeds.assumptions:
            note("paper assumes", {"text": sentence})
        return feeds

    return PaperLiveGateway(opened, terms_of(settings.config), world[1], standing_of(store))


def _on_ccxt(settings: Settings, venue: str, legs: tuple[InstrumentId, ...], clock: Clock) -> LiveGateway:
    """An exchange that has no adapter of its own."""
    from adapters.ccxt.gateway import CcxtGateway, CcxtOptions
    from adapters.ccxt.reference import Given
    from bot.wiring.feeds import described_by_files

    tiers, _ = described_by_files(settings)
    options = CcxtOptions(
        access=ccxt_access(settings, venue), legs=legs, config=settings.config, given=Given(tiers=tiers)
    )
    return CcxtGateway(options, clock)


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
    once the port is this run's."""
    port = settings.config.api_port
    if not port:
        return None
    if settings.secrets.api_token is not None:
        return Access(port, settings.secrets.api_token.get_secret_value())
    return Access(port, secrets.token_urlsafe(24), kept_in=token_file(journal_path(options, settings)))


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


def _reread(options: LiveOptions, begun: Settings, reopened: Reopened) -> SettingsChanged | str | None:
    """The settings as they are now, if nothing but what a living run can take over differs from those it has
    ``begun`` with or taken over since; nothing where none differs."""
    try:
        fresh = load(options.environ, options.env_file)
    except ConfigError as refusal:
        return f"no changed setting was taken over: {refusal}"
    before = reopened.engine.store.config
    if before is None:
        return "no changed setting was taken over: the run has not begun"
    tunable, fixed = changes(replace(begun, config=before), fresh)
    if fixed:
        return f"no changed setting was taken over: {', '.join(fixed)} can only change with a restart"
    return SettingsChanged(fresh.config, "sighup") if tunable else None
