"""The doctor: everything that can be checked before an account is traded, as one list of findings.

It looks at the settings, at this machine, and asks the venue; it changes nothing anywhere.  The exit code is
the answer: 0 when nothing failed.
"""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from adapters.errors import FeedError
from bot.contradictions import warnings
from bot.knobs import NESTED, PREFIX, ConfigError
from bot.model.config import Config
from bot.model.ids import market_of
from bot.ports import Finding, Verdict
from bot.settings import DEFAULT, Settings, describe, load, settings_sha256
from bot.shell.clock import LiveClock
from bot.shell.lock import FileLock, LockTaken
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
    legs_of,
    open_network,
    refuse_unknown_venues,
)
from risk.limits import deleverage_bounds, latch_bounds, opening_bounds

BUDGET = f"{PREFIX}BUDGET{NESTED}"
FREE_BYTES = 1 << 30  # ten days of one pair's journal
OK, WARNED, FAILED, SKIPPED = Verdict


def examine(options: LiveOptions) -> tuple[Finding, ...]:
    """Every check that these settings allow.  Raises `ConfigError` where they cannot be read at all."""
    settings = load(options.environ, options.env_file)
    sha256 = settings_sha256(settings.config)
    found = [Finding("settings", OK, f"complete, sha256 {sha256}, {_mode(settings)}")]
    found += [Finding("settings", WARNED, doubt) for doubt in warnings(settings.config)]
    found += [_budgets(options), _margin(settings.config)]
    path = journal_path(options, settings)
    found += [_disk(path), _alone(path), port_of_api(settings.config.api_port)]
    try:
        refuse_unknown_venues(settings)
        keys = keys_of(settings)
    except (ConfigError, FeedError) as refusal:
        return (*found, Finding("account", FAILED, str(refusal)))
    venues = dict.fromkeys(leg.split(":")[0] for leg in legs_of(settings.config))
    found.append(_account_alone(keys))
    if BINANCE in venues:
        found += in_loop(_venue(settings, *key_and_secret(settings)))
    for venue in venues:
        if venue != BINANCE:
            found += in_loop(_through_ccxt(settings, venue))
    return tuple(found)


def _budgets(options: LiveOptions) -> Finding:
    """The budgets in force: nobody has to choose them, so that whoever has not is told what they are."""
    shown = [row for row in describe(options.environ, options.env_file) if row.variable.startswith(BUDGET)]
    rows = [f"{row.variable.removeprefix(BUDGET)}={row.value}" for row in shown if row.source != DEFAULT]
    rest = [f"{row.variable.removeprefix(BUDGET)}={row.value}" for row in shown if row.source == DEFAULT]
    text = f"{BUDGET}… by hand: {', '.join(rows) or 'none'}; by default: {', '.join(rest) or 'none'}"
    return Finding("budgets", OK, text)


def _margin(config: Config) -> Finding:
    """The bounds of margin in force, which follow from two limits where nobody chose them."""
    bounds = (
        ("opens nothing", opening_bounds(config.limits, config.margin)),
        ("latches", latch_bounds(config.limits)),
        ("reduces", deleverage_bounds(config.limits, config.margin)),
    )
    rows = [
        f"{what} below {each.ratio.normalize():f} and {each.distance.normalize():f}" for what, each in bounds
    ]
    return Finding("margin", OK, f"ratio and distance to liquidation: {', '.join(rows)}")


def failures(found: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in found if one.verdict is FAILED)


def _mode(settings: Settings) -> str:
    pairs = ", ".join(f"{one.name} {one.long} / {one.short}" for one in settings.config.pairs)
    return f"mode {settings.config.mode}, pairs {pairs}"


def _disk(journal: Path) -> Finding:
    folder = next(parent for parent in journal.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    text = f"{free >> 20} MB free at {folder}"
    if free < FREE_BYTES:
        return Finding("disk", FAILED, f"{text}: make room for the journal, {FREE_BYTES >> 20} MB at least")
    return Finding("disk", OK, text)


def _alone(path: Path) -> Finding:
    """Whether nobody else holds the lock, and the folder can be written."""
    if not path.parent.is_dir():
        return Finding("journal", OK, f"{path} will be begun")
    try:
        FileLock(path).release()
    except LockTaken:
        return Finding(
            "journal", FAILED, f"{path} is written by another process: stop it, or give another file"
        )
    except OSError as error:
        return Finding("journal", FAILED, f"{path} cannot be written: {error.strerror}")
    return Finding("journal", OK, f"{path} is {'there' if path.exists() else 'not begun'} and free")


def _account_alone(keys: Sequence[str]) -> Finding:
    if not keys:
        return Finding("second instance", SKIPPED, "paper has no account")
    try:
        for key in keys:
            account_lock(key).release()
    except ConfigError as refusal:
        return Finding("second instance", FAILED, str(refusal))
    return Finding("second instance", OK, "no other daemon on this machine uses the key")


def port_of_api(port: int) -> Finding:
    if not port:
        return Finding("api", WARNED, "BASISBOT_API_PORT is 0: no commands and no readiness while it runs")
    with socket.socket() as probe:
        # as the API itself does: what a run before left half closed is no obstacle
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return Finding("api", FAILED, f"port {port} of 127.0.0.1 cannot be used: {error.strerror}")
    return Finding("api", OK, f"port {port} of 127.0.0.1 is free")


async def _venue(settings: Settings, key: str, secret: str) -> tuple[Finding, ...]:
    from adapters.binance.checkup import Patient, checkup
    from adapters.binance.rest import Access, Rest, VenueClock
    from adapters.binance.signing import signer
    from adapters.ratelimit import RateBudget

    config, hosts = settings.config, hosts_of(settings)
    legs = tuple(leg for leg in legs_of(config) if leg.split(":")[0] == BINANCE)
    by = signer(key, secret) if key else None
    access = Access(by, round(config.strategy.receive_window_s * 1000))
    clock = LiveClock(time.time_ns(), time.monotonic)
    network = open_network(config)
    try:
        rests = {
            market: Rest(market, hosts[market], network, VenueClock(clock), RateBudget(market), access)
            for market in dict.fromkeys(map(market_of, legs))
        }
        restrictions = Rest("spot", hosts["spot"], network, VenueClock(clock), RateBudget("spot"), access)
        tells = config.mode in ("live", "rehearsal")
        used = [Finding("hosts", OK, ", ".join(_host(hosts[market].rest) for market in rests))]
        if by is None:
            return (*used, Finding("venue", SKIPPED, "paper needs no account, and none was asked"))
        return (*used, *await checkup(Patient(legs, config, rests, restrictions if tells else None)))
    finally:
        await network.close()


async def _through_ccxt(settings: Settings, venue: str) -> tuple[Finding, ...]:
    """What an exchange without an adapter of its own says, on paper of its public side alone."""
    from adapters.ccxt.checkup import Patient, checkup
    from adapters.ccxt.reference import Given
    from bot.wiring.feeds import described_by_files

    config = settings.config
    legs = tuple(leg for leg in legs_of(config) if leg.split(":")[0] == venue)
    try:
        tiers, _ = described_by_files(settings)
    except FeedError as unusable:
        return (Finding(f"venue {venue}", FAILED, str(unusable)),)
    given = Given(config.paper_fees_bps if config.mode == "paper" else {}, tiers)
    patient = Patient(access=ccxt_access(settings, venue), legs=legs, config=config, given=given)
    return await checkup(patient, LiveClock(time.time_ns(), time.monotonic))


def _host(url: str) -> str:
    return urlsplit(url).netloc
