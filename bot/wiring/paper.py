"""Wiring of a replay: recordings, the simulated venue, and the report of what came of it.

Everything else takes what it needs as an argument.  A paper run is made of settings, recordings and the
venue's description of its instruments; what comes out is a journal, and a report that is read from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from adapters.binance.instruments import instruments as described
from adapters.binance.instruments import read_source
from adapters.binance.market import VENUE, MarketStream
from adapters.errors import FeedError
from adapters.materiality import Materiality
from adapters.paper.agenda import NEVER_NS
from adapters.paper.driver import FeedSource, Outlet, PaperTimeline
from adapters.paper.funding_table import FundingTable, read_funding_table
from adapters.paper.terms import terms_of
from adapters.paper.venue import PaperVenue
from adapters.recorded.capture import MANIFEST, read_manifest
from adapters.recorded.feeds import exchange_info, left_out, open_feeds
from adapters.recorded.frames import Feed
from adapters.recorded.merge import merge
from bot import __version__
from bot.core.fold import refold
from bot.core.step import step
from bot.knobs import ConfigError
from bot.model.commands import RaiseAlert
from bot.model.config import Config
from bot.model.facts import Origin
from bot.model.ids import AccountId, InstrumentId, market_of
from bot.model.instrument import Instrument, unlike
from bot.model.pair import Role
from bot.ports import Emit
from bot.progress import Progress
from bot.settings import JOURNAL_NAME, Settings, load
from bot.shell.engine import Engine
from bot.shell.executor import Executor
from bot.shell.journal import JournalWriter
from bot.shell.logs import configure, note, warn_of
from bot.shell.replay import Hooks, ReplayOptions, RunResult, inputs_text, replay, stop_on_signals
from bot.wiring.venues import examples_folder, refuse_unusable_money

if TYPE_CHECKING:
    from bot.shell.report import Written
    from bot.shell.report_model import FeedCounters, Report


class _Frame(Struct):
    data: Raw


_decode_frame = msgspec.json.Decoder(_Frame).decode


class PaperOptions(Struct, frozen=True, kw_only=True):
    """What the command line asks for.  Times are 0 where open; absent paths are the settings'."""

    feeds: tuple[Path, ...]
    environ: dict[str, str]
    report: Path
    env_file: Path | None = None
    from_ns: int = 0
    until_ns: int = 0
    funding: Path | None = None
    instruments: tuple[Path, ...] = ()
    journal: Path | None = None
    resume: bool = False
    crash_at_ns: tuple[int, ...] = ()


class RunSummary(Struct, frozen=True):
    """What a run came to, and where its journal and report are."""

    result: RunResult
    report: Report
    written: Written
    journal: Path


class Stopped(Exception):
    """Somebody asked the run to stop before its end."""

    exit_code = 1


class CrashNotPlayed(Exception):
    """A crash was asked for at a time that the recording does not reach."""

    exit_code = 2


def demo_files() -> tuple[Path, Path]:
    """The recording that comes with the program, and its settings."""
    folder = examples_folder(f"demo/{MANIFEST}")
    return folder / "demo", folder / "demo.env"


def run_paper(options: PaperOptions, progress: Progress) -> RunSummary:
    """Replay recordings against the simulated venue, then write the report.

    Raises `ConfigError`, `FeedError`, `JournalError`, `Divergence`, `BugExit`, `Stopped`, `CrashNotPlayed`
    and `ReportError`.
    """
    settings = load(options.environ, options.env_file)
    if settings.config.mode != "paper":
        raise ConfigError(
            f"BASISBOT_MODE is {settings.config.mode!r}, but recordings are traded on paper: set it to paper"
        )
    world = _World(options, settings)
    if sentences := left_out(options.feeds):
        configure(secrets=settings.secrets.texts())
        for sentence in sentences:
            note(sentence, {})
    named = options.journal or settings.journal
    path = named or options.report / JOURNAL_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    # a journal that nobody named belongs to the report and is begun anew with it
    afresh = named is None and not options.resume
    replay_options = world.replay_options(options, settings)
    inputs = inputs_text(replay_options)
    with JournalWriter(path, resume=options.resume, afresh=afresh, inputs=inputs) as journal:
        engine = Engine(journal, step, refold)
        send, put = world.timeline.submit, engine.inbox.put
        executor = Executor(settings.config.fuse, world.instruments, send, put, _Alerts(settings).tell)
        progress.begin(world.timeline.start_ns, _end_ns(options))
        with stop_on_signals() as stopping:
            hooks = Hooks(heard=world.heard, progress=progress.move, stopping=stopping)
            result = replay(world.timeline, engine, executor, replay_options, hooks)
    if result.stopped:
        raise Stopped(f"stopped before the end; journal {path} is whole so far, go on with --resume")
    asked = len(set(options.crash_at_ns))
    if result.crashes < asked:
        raise CrashNotPlayed(
            f"{asked - result.crashes} of {asked} crashes did not happen: "
            "give each --crash-at within the recording"
        )
    from bot.shell.report import read_report, write_report

    collection = read_report(path, world.counters(result))
    return RunSummary(result, collection.report, write_report(collection, options.report), path)


class _Alerts:
    """Writes alerts to the log, which is set up when the first one comes: most runs have none."""

    def __init__(self, settings: Settings) -> None:
        self._secrets = settings.secrets.texts()
        self._is_set_up = False

    def tell(self, alert: RaiseAlert, at_ns: int) -> None:
        if not self._is_set_up:
            configure(secrets=self._secrets)
            self._is_set_up = True
        warn_of(alert, at_ns)


class _World:
    """The recordings, the books they build, and the simulated venue that trades on them."""

    def __init__(self, options: PaperOptions, settings: Settings) -> None:
        """Raises `FeedError` or `ConfigError` for an input that cannot be used."""
        config = settings.config
        self._config = config
        self.feeds = open_feeds(options.feeds)
        self._files = options.instruments or settings.instruments
        self._funding = options.funding or settings.funding
        self.instruments = _instruments(self._files, config, self.feeds)
        outlet = Outlet()
        self._streams = _streams(self.instruments.values(), config, self.feeds, outlet.tell)
        books = {name: book for stream in self._streams.values() for name, book in stream.channels.items()}
        contracts = self.instruments.values()
        table = read_funding_table(self._funding, contracts) if self._funding else FundingTable({})
        self.venue = PaperVenue(self.instruments, books, terms_of(config), table, outlet.tell)
        for stream in self._streams.values():
            stream.listen(self.venue.on_mark, self.venue.on_rate)
        self.timeline = PaperTimeline(
            [FeedSource(feed.name, self._streams[feed.market]) for feed in self.feeds],
            merge(self.feeds),
            self.venue,
            outlet,
            (options.from_ns, options.until_ns - 1 if options.until_ns else NEVER_NS),
        )

    def replay_options(self, options: PaperOptions, settings: Settings) -> ReplayOptions:
        origins = [Origin(feed.name, feed.sha256, feed.offset_ns) for feed in self.feeds]
        origins += [Origin("instruments", _sha256(path)) for path in self._files]
        origins += [Origin("funding", _sha256(path)) for path in filter(None, (self._funding,))]
        return ReplayOptions(
            version=__version__,
            config=settings.config,
            instruments=tuple(self.instruments.values()),
            origins=tuple(origins),
            from_ns=options.from_ns,
            until_ns=options.until_ns,
            crash_at_ns=options.crash_at_ns,
        )

    def heard(self) -> tuple[dict[InstrumentId, int], dict[AccountId, int]]:
        """When each instrument was last heard, and what is left of each clock's offset, nanoseconds."""
        seen_ns: dict[InstrumentId, int] = {}
        offset_ns: dict[AccountId, int] = {}
        for stream in self._streams.values():
            seen_ns.update(stream.heard_ns)
            left_ns = stream.offset_ns
            if left_ns is not None:
                offset_ns[stream.account] = left_ns
        return seen_ns, offset_ns

    def counters(self, result: RunResult) -> FeedCounters:
        """What became of all frames; a material frame whose fact was conflated counts as that alone."""
        counts = [stream.counters() for stream in self._streams.values()]
        from bot.shell.report_model import Dispositions, FeedCounters

        conflated = sum(result.conflated.get(kind, 0) for kind in ("BookSeen", "MarkSeen"))
        return FeedCounters(
            frames_in=sum(each.frames_in for each in counts),
            frames_by_stream=_summed(each.frames_by_stream for each in counts),
            frames_by_disposition=Dispositions(
                material=sum(each.material for each in counts) - conflated,
                immaterial=sum(each.immaterial for each in counts),
                stale=sum(each.stale for each in counts),
                conflated=conflated,
                ignored=_summed(each.ignored for each in counts),
                refused=_summed(each.refused for each in counts),
            ),
            gaps=sum(each.gaps for each in counts),
            clock_offset_s={feed.market: feed.offset_ns / 1e9 for feed in self.feeds},
            assumptions=(*self.venue.desk.assumptions.sentences, *_standing(self._config)),
        )


def _instruments(
    files: Sequence[Path], config: Config, feeds: Sequence[Feed]
) -> dict[InstrumentId, Instrument]:
    """The legs of all pairs, as the named files describe them, or the feeds where none is named."""
    legs = list(dict.fromkeys(pair.instrument(role) for pair in config.pairs for role in Role))
    for leg in legs:
        if leg.split(":")[0] != VENUE:
            raise ConfigError(f"BASISBOT_PAIRS has the leg {leg}, but this version trades on {VENUE} alone")
    refuse_unusable_money(config)
    sources = [read_source(path) for path in files]
    if not files:
        frames = {feed.name: frame for feed in feeds if (frame := exchange_info(feed)) is not None}
        sources = [(name, bytes(_decode_frame(frame).data)) for name, frame in frames.items()]
    found = described(sources, legs, config.paper_fees_bps)
    for pair in config.pairs:
        if what := unlike(found[pair.long], found[pair.short]):
            raise ConfigError(f"BASISBOT_PAIRS has the pair {pair.name}, but {what}")
    return found


def _streams(
    instruments: Iterable[Instrument], config: Config, feeds: Sequence[Feed], emit: Emit
) -> dict[str, MarketStream]:
    """The decoder of each market that a feed carries."""
    by_market: dict[str, list[Instrument]] = {feed.market: [] for feed in feeds}
    for instrument in instruments:
        market = market_of(instrument.id)
        if market not in by_market:
            raise FeedError(f"no feed carries {market}, where {instrument.id} trades; add one by --feed")
        by_market[market].append(instrument)
    strategy = config.strategy
    filters = Materiality(float(strategy.clip_quote), strategy.materiality_bps, strategy.heartbeat_s)
    return {
        market: MarketStream(market, traded, dict.fromkeys([one.id for one in traded], filters), emit)
        for market, traded in by_market.items()
    }


def _end_ns(options: PaperOptions) -> int:
    """Where virtual time will end, as far as that is written down before the run; 0: nobody says."""
    if options.until_ns:
        return options.until_ns
    captures = [path for path in options.feeds if (path / MANIFEST).is_file()]
    if len(captures) < len(options.feeds):
        return 0
    manifests = [read_manifest(path) for path in captures]
    return max(each.parts[-1].last_ns + round(each.clock_offset_s * 1e9) for each in manifests)


def _standing(config: Config) -> tuple[str, ...]:
    """Assumptions that settings make for the whole run."""
    if config.usdt_usd_rate is None:
        return ()
    return (f"1 USDT is taken to be {config.usdt_usd_rate} USD throughout (BASISBOT_USDT_USD_RATE)",)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total
