"""Settings: the environment, and at most one file, become one frozen value.

pydantic-settings does the parsing; its model is built from the knobs that `bot.model.config` declares, so
that no knob is declared here.  The environment beats ``--env-file``, which replaces ``.env``.  Every
mistake names its variable and says what that takes; all of them are told at once, since whoever fills in a
file mends it once.

pydantic-settings takes a quarter of a second to import: import this module only where settings are
needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Struct, field
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bot.compact import FormError, check_capital, parse_balances, parse_capital, parse_fees_bps, parse_pairs
from bot.contradictions import refusals
from bot.knobs import ACKNOWLEDGEMENT, NESTED, PREFIX, ConfigError, Knob, knobs
from bot.model.config import Balance, Budget, Config, Exit, FeeRate, Fuse, Limits, Margin, Strategy
from bot.model.money import ZERO
from bot.model.pair import PairSpec
from bot.variables import Given, gather, paths_in, refuse_unknown, secret_in

Form = TypeVar("Form")

DEFAULT = "default"
JOURNAL_NAME = "journal.sqlite"
_GROUPS: dict[str, type[Struct]] = {
    "strategy": Strategy,
    "limits": Limits,
    "fuse": Fuse,
    "exit": Exit,
    "budget": Budget,
    "margin": Margin,
}


class Secrets(Struct, frozen=True):
    """Credentials, if any were given; they print as asterisks."""

    binance_key: SecretStr | None = None
    binance_secret: SecretStr | None = None
    api_token: SecretStr | None = None
    ccxt: Mapping[str, Mapping[str, SecretStr]] = {}

    def texts(self) -> tuple[str, ...]:
        """What must be in no log line."""
        given = [self.binance_key, self.binance_secret, self.api_token]
        given += [word for words in self.ccxt.values() for word in words.values()]
        return tuple(each.get_secret_value() for each in given if each)


class Settings(Struct, frozen=True):
    """What a run is started with: the journaled configuration, and what concerns this machine alone."""

    config: Config
    secrets: Secrets
    instruments: tuple[Path, ...] = ()
    funding: Path | None = None
    journal: Path | None = None
    rehearsal_ports: tuple[int, int, int] | None = None


class Shown(Struct, frozen=True):
    """A knob as it is shown: its text in force, secrets as asterisks, and where that comes from."""

    variable: str
    value: str
    source: str


class _Mistakes(Struct):
    """What is wrong with the variables, a sentence each, and those that are missing, by name."""

    wrong: list[str] = field(default_factory=list)
    missing: dict[str, Knob] = field(default_factory=dict)

    def of(self, read: Callable[[], Form], instead: Form) -> Form:
        """What ``read`` reads; where it refuses, that is noted, and ``instead`` is taken."""
        try:
            return read()
        except ConfigError as error:
            self.wrong.append(str(error))
            return instead

    def refuse(self, given: Mapping[str, Given]) -> None:
        """Raises `ConfigError` for all of them; the missing come last: a wrong one may be its misreading."""
        found = list(self.wrong)
        missing = [knob for knob in knobs() if knob.variable in self.missing]
        if len(missing) == 1:
            knob, variable = missing[0], missing[0].variable
            state = "is empty" if variable in given else "is not set"
            found.append(f"{variable} {state}, but it takes {knob.accepts}: {knob.meaning}")
        elif missing:
            names = ", ".join(knob.variable for knob in missing)
            found.append(f"{len(missing)} variables are not set: {names}; .env.example describes each")
        if found:
            raise ConfigError("; ".join(found))


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Settings from ``environ`` and ``env_file``.

    Raises `ConfigError` for a file that cannot be read, for an unknown variable, for all variables that are
    missing or have a value that they do not take, and for values that contradict each other.
    """
    given = gather(environ, env_file)
    refuse_unknown(given)
    mistakes = _Mistakes()
    fields = _parse(given, mistakes)
    fields |= _compact_fields(given, mistakes)
    mode = _text(given, "MODE") or _knob("MODE").default
    if mode == "paper" and not _text(given, "PAPER_BALANCES"):
        mistakes.missing[PREFIX + "PAPER_BALANCES"] = _knob("PAPER_BALANCES")
    if mode == "live":
        mistakes.wrong += _unready(given)
    secrets = mistakes.of(lambda: _secrets(given), Secrets())
    ports = mistakes.of(lambda: _ports(given), None)
    mistakes.refuse(given)
    for name, group in _GROUPS.items():
        fields[name] = group(**fields[name])
    config = Config(**fields)
    contradictions = tuple(refusals(config))
    if contradictions:
        raise ConfigError("; ".join(contradictions))
    return Settings(
        config=config,
        secrets=secrets,
        instruments=tuple(paths_in(given, "PAPER_INSTRUMENTS")),
        funding=next(paths_in(given, "PAPER_FUNDING"), None),
        journal=next(paths_in(given, "JOURNAL"), None),
        rehearsal_ports=ports,
    )


def changes(before: Settings, after: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which variables differ: those a living run can take over, and those that need a restart."""
    tunable: list[str] = []
    fixed: list[str] = []
    for knob in knobs():
        if knob.path and _at(before.config, knob.path) != _at(after.config, knob.path):
            (tunable if knob.lives else fixed).append(knob.variable)
    if before.config.pairs != after.config.pairs:
        legs = [[(pair.name, pair.long, pair.short) for pair in one.config.pairs] for one in (before, after)]
        if legs[0] == legs[1]:
            fixed.remove(PREFIX + "PAIRS")
            fixed.append(PREFIX + "PAIR_CAPITAL_QUOTE")
    kept = (_of_machine(before), _of_machine(after))
    fixed += [PREFIX + name for name in kept[0] if kept[0][name] != kept[1][name]]
    return tuple(tunable), tuple(fixed)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = getattr(value, name)
    return value


def _of_machine(settings: Settings) -> dict[str, object]:
    """What a run was made with besides its configuration, by the variable that says it."""
    secrets = settings.secrets
    return {
        "PAPER_INSTRUMENTS": settings.instruments,
        "PAPER_FUNDING": settings.funding,
        "JOURNAL": settings.journal,
        "REHEARSAL_PORTS": settings.rehearsal_ports,
        "API_TOKEN": secrets.api_token,
        "CCXT_CREDENTIALS": secrets.ccxt,
        "BINANCE_KEY": secrets.binance_key,
        "BINANCE_SECRET": secrets.binance_secret,
    }


def _unready(given: Mapping[str, Given]) -> Iterator[str]:
    """Real money needs to be meant, and every limit to be chosen by somebody."""
    if _text(given, "LIVE_ACKNOWLEDGEMENT") != ACKNOWLEDGEMENT:
        yield (
            f"BASISBOT_MODE is 'live': set BASISBOT_LIVE_ACKNOWLEDGEMENT to {ACKNOWLEDGEMENT!r}, "
            "or choose another mode"
        )
    limits = (knob for knob in knobs() if knob.path[:1] == ("limits",) and not knob.optional)
    unset = [knob.variable for knob in limits if not _text(given, knob.variable.removeprefix(PREFIX))]
    if unset:
        yield (
            f"BASISBOT_MODE is 'live', where every limit is set by hand: {', '.join(unset)} "
            + ("is not set" if len(unset) == 1 else "are not set")
        )


def _ports(given: Mapping[str, Given]) -> tuple[int, int, int] | None:
    name = PREFIX + "REHEARSAL_PORTS"
    text = given[name].text if name in given else ""
    if not text.strip():
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3 or not all(part.isdecimal() and 0 < int(part) < 65536 for part in parts):
        raise ConfigError(f"{name}={text!r} (set in {given[name].source}) is not three port numbers")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _knob(name: str) -> Knob:
    return next(knob for knob in knobs() if knob.variable == PREFIX + name)


def default_journal(mode: str) -> Path:
    """Where a live run keeps its journal when nobody names one."""
    return Path("out") / mode / JOURNAL_NAME


def settings_sha256(config: Config) -> str:
    """Hash of a configuration; paths and secrets are not part of one."""
    return hashlib.sha256(msgspec.json.encode(config)).hexdigest()


def describe(environ: Mapping[str, str], env_file: Path | None = None) -> list[Shown]:
    """Every knob with the value in force and where it comes from; secrets as asterisks.

    Raises `ConfigError` as `load` does.
    """
    load(environ, env_file)
    given = gather(environ, env_file)
    rows = []
    for knob in knobs():
        found = given.get(knob.variable)
        value = found.text if found else knob.default
        value = "***" if knob.secret and value else value
        rows.append(Shown(knob.variable, value, found.source if found else DEFAULT))
    return rows


def _parse(given: Mapping[str, Given], mistakes: _Mistakes) -> dict[str, Any]:
    """The values of all knobs of `Config`, nested as it is, compact forms still as text; nothing where any
    cannot be read."""
    texts = {name.lower(): item.text for name, item in given.items()}
    try:
        return _model(texts)().model_dump()
    except ValidationError as error:
        by_path = {knob.path: knob for knob in knobs()}
        for one in error.errors():
            path = tuple(str(part) for part in one["loc"][:2])
            knob = by_path[path if path[0] in _GROUPS else path[:1]]
            found = given.get(knob.variable)
            if found is None or not found.text:
                mistakes.missing[knob.variable] = knob
            else:
                mistakes.wrong.append(
                    f"{knob.variable}={found.text!r} (set in {found.source}) is not what it takes, "
                    f"{knob.accepts}: {knob.meaning}"
                )
        return {}


def _model(texts: dict[str, str]) -> type[BaseSettings]:
    class Gathered(EnvSettingsSource):
        """Reads what was gathered from the environment and the file, in place of the environment alone."""

        def _load_env_vars(self) -> Mapping[str, str | None]:
            return dict(texts)

    class Base(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_nested_delimiter=NESTED, allow_inf_nan=False, validate_default=True
        )

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[Any, ...]:
            return (Gathered(settings_cls),)

    fields: dict[str, Any] = {name: (_group(name), {}) for name in _GROUPS}
    for knob in knobs():
        if len(knob.path) == 1:
            fields[knob.path[0]] = _field(knob)
    return create_model("Environment", __base__=Base, **fields)


def _group(name: str) -> type[BaseModel]:
    members = [knob for knob in knobs() if len(knob.path) > 1 and knob.path[0] == name]
    fields: dict[str, Any] = {knob.path[1]: _field(knob) for knob in members}
    return create_model(name.capitalize(), __config__=ConfigDict(allow_inf_nan=False), **fields)


def _field(knob: Knob) -> tuple[Any, Any]:
    kind: Any = knob.kind
    if knob.optional and not knob.compact:
        kind = Annotated[kind | None, BeforeValidator(lambda text: None if text == "" else text)]
    default: Any = ... if knob.required else None if knob.optional and not knob.compact else knob.default
    bounds: dict[str, Any] = {**knob.bounds, **({"pattern": knob.pattern} if knob.pattern else {})}
    return kind, Field(default, validate_default=True, **bounds)


def _compact_fields(given: Mapping[str, Given], mistakes: _Mistakes) -> dict[str, Any]:
    """What is given in compact forms, as `Config` has it."""
    for knob in knobs():
        if knob.required and not _text(given, knob.variable.removeprefix(PREFIX)):
            mistakes.missing.setdefault(knob.variable, knob)

    def read(name: str, parse: Callable[[str], Form], instead: Form) -> Form:
        if PREFIX + name in mistakes.missing:
            return instead
        return mistakes.of(lambda: _compact(given, name, parse), instead)

    no_pairs: tuple[PairSpec, ...] = ()
    no_balances: tuple[Balance, ...] = ()
    no_fees: dict[str, FeeRate] = {}
    names = {item.partition("=")[0].strip() for item in _text(given, "PAIRS").split(",")}
    unknown = dict.fromkeys(names, ZERO)  # amounts that cannot be read are one mistake, not one a pair
    capital = read("PAIR_CAPITAL_QUOTE", parse_capital, unknown)
    pairs = read("PAIRS", lambda text: parse_pairs(text, capital), no_pairs)
    if pairs and capital is not unknown:
        read("PAIR_CAPITAL_QUOTE", lambda _: check_capital(capital, pairs), None)
    return {
        "pairs": pairs,
        "paper_balances": read("PAPER_BALANCES", parse_balances, no_balances),
        "paper_fees_bps": read("PAPER_FEES_BPS", parse_fees_bps, no_fees),
    }


def _compact(given: Mapping[str, Given], name: str, parse: Callable[[str], Form]) -> Form:
    found = given.get(PREFIX + name)
    try:
        return parse(found.text if found else "")
    except FormError as error:
        raise ConfigError(f"{PREFIX}{name} {error} (set in {found.source if found else DEFAULT})") from None


def _text(given: Mapping[str, Given], name: str) -> str:
    found = given.get(PREFIX + name)
    return found.text.strip() if found else ""


def _secrets(given: Mapping[str, Given]) -> Secrets:
    return Secrets(
        secret_in(given, "BINANCE_KEY"),
        secret_in(given, "BINANCE_SECRET"),
        secret_in(given, "API_TOKEN"),
        _ccxt_credentials(given),
    )


def _ccxt_credentials(given: Mapping[str, Given]) -> dict[str, dict[str, SecretStr]]:
    text = secret_in(given, "CCXT_CREDENTIALS")
    if text is None:
        return {}
    try:
        told = msgspec.json.decode(text.get_secret_value().encode(), type=dict[str, dict[str, str]])
    except (msgspec.DecodeError, UnicodeEncodeError):
        # neither the text nor where it breaks is shown: it is made of secrets
        raise ConfigError(f"{PREFIX}CCXT_CREDENTIALS is not a JSON object of objects of texts") from None
    return {name: {word: SecretStr(value) for word, value in words.items()} for name, words in told.items()}
