"""Settings: the environment, and at most one file, become one frozen value.

pydantic-settings does the parsing; its model is built from the knobs that `bot.model.config` declares, so
that no knob is declared here.  The environment beats ``--env-file``, which replaces ``.env``.  Every
mistake is one sentence that names the variable and says what it takes; a variable with our prefix that is
no knob is a mistake too, since a setting that is silently ignored is one that the operator believes in.

pydantic-settings takes a quarter of a second to import: import this module only where settings are
needed.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from dotenv.main import resolve_variables
from dotenv.parser import parse_stream
from msgspec import Struct
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from bot.compact import FormError, check_capital, parse_balances, parse_capital, parse_fees_bps, parse_pairs
from bot.knobs import ACKNOWLEDGEMENT, FOREIGN, NESTED, PREFIX, ConfigError, Knob, knobs
from bot.model.config import Config, Fuse, Limits, Strategy

Form = TypeVar("Form")

ENVIRONMENT = "environment"
DEFAULT = "default"
JOURNAL_NAME = "journal.sqlite"
_GROUPS: dict[str, type[Struct]] = {"strategy": Strategy, "limits": Limits, "fuse": Fuse}


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


class Given(Struct, frozen=True):
    """One variable as it was found: its text, where it stood and the folder its paths are relative to."""

    text: str
    source: str
    folder: Path


class Shown(Struct, frozen=True):
    """A knob as it is shown: its text in force, secrets as asterisks, and where that comes from."""

    variable: str
    value: str
    source: str


def load(environ: Mapping[str, str], env_file: Path | None = None) -> Settings:
    """Settings from ``environ`` and ``env_file``.

    Raises `ConfigError` for a file that cannot be read, an unknown or missing variable, or a value that the
    variable does not take.
    """
    given = gather(environ, env_file)
    _refuse_unknown(given)
    fields = _parse(given)
    config = _config(fields, given)
    if config.mode == "paper" and not config.paper_balances:
        raise _missing(_knob("PAPER_BALANCES"), given)
    if config.mode == "live":
        _refuse_unready(given)
    return Settings(
        config=config,
        secrets=Secrets(
            secret_in(given, "BINANCE_KEY"),
            secret_in(given, "BINANCE_SECRET"),
            secret_in(given, "API_TOKEN"),
            _ccxt_credentials(given),
        ),
        instruments=tuple(paths_in(given, "PAPER_INSTRUMENTS")),
        funding=next(paths_in(given, "PAPER_FUNDING"), None),
        journal=next(paths_in(given, "JOURNAL"), None),
        rehearsal_ports=_ports(given),
    )


# of the strategy, since gateways are made with them
RESTART = frozenset({"materiality_bps", "heartbeat_s", "clip_quote", "coin_margin", "receive_window_s"})


def changes(before: Config, after: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which variables differ: those a living run can take over, and those that need a restart."""
    tunable: list[str] = []
    fixed: list[str] = []
    for knob in knobs():
        if not knob.path or _at(before, knob.path) == _at(after, knob.path):
            continue
        lives = knob.path[0] == "limits" or (knob.path[0] == "strategy" and knob.path[1] not in RESTART)
        (tunable if lives else fixed).append(knob.variable)
    if before.pairs != after.pairs and PREFIX + "PAIRS" not in fixed:
        fixed.append(PREFIX + "PAIR_CAPITAL_QUOTE")
    return tuple(tunable), tuple(fixed)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = getattr(value, name)
    return value


def _refuse_unready(given: dict[str, Given]) -> None:
    """Real money needs to be meant, and every limit to be chosen by somebody."""
    found = given.get(PREFIX + "LIVE_ACKNOWLEDGEMENT")
    if found is None or found.text.strip() != ACKNOWLEDGEMENT:
        raise ConfigError(
            f"BASISBOT_MODE is 'live': set BASISBOT_LIVE_ACKNOWLEDGEMENT to {ACKNOWLEDGEMENT!r}, "
            "or choose another mode"
        )
    unset = [
        knob.variable
        for knob in knobs()
        if knob.path[:1] == ("limits",)
        and not knob.optional
        and not (knob.variable in given and given[knob.variable].text.strip())
    ]
    if unset:
        raise ConfigError(
            f"BASISBOT_MODE is 'live', where every limit is set by hand: {', '.join(unset)} "
            + ("is not set" if len(unset) == 1 else "are not set")
        )


def _ports(given: dict[str, Given]) -> tuple[int, int, int] | None:
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


def gather(environ: Mapping[str, str], env_file: Path | None = None) -> dict[str, Given]:
    """Every variable with our prefix, by its name in capitals; the environment beats the file."""
    given = {}
    if env_file is not None:
        for name, text in _read(env_file).items():
            given[name.upper()] = Given(text, str(env_file), env_file.absolute().parent)
    for name, text in environ.items():
        if name.upper().startswith(PREFIX):
            given[name.upper()] = Given(text, ENVIRONMENT, Path.cwd())
    return {name: item for name, item in given.items() if name not in FOREIGN}


def _read(env_file: Path) -> dict[str, str]:
    try:
        with env_file.open(encoding="utf-8") as stream:
            bindings = list(parse_stream(stream))
    except OSError as error:
        raise ConfigError(f"{env_file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{env_file}: is not UTF-8 text") from error
    lines: dict[str, int] = {}
    for binding in bindings:
        text = binding.original.string
        line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigError(f"{env_file}:{line}: is not of the form NAME=value")
        if binding.key is None:
            continue
        if binding.key in lines:
            raise ConfigError(
                f"{env_file}:{line}: {binding.key} was set in line {lines[binding.key]} already"
            )
        lines[binding.key] = line
    pairs = [(binding.key, binding.value) for binding in bindings if binding.key is not None]
    values = resolve_variables(pairs, override=False)
    _refuse_near_misses(env_file, lines)
    return {name: text or "" for name, text in values.items() if name.upper().startswith(PREFIX)}


def _refuse_near_misses(env_file: Path, lines: dict[str, int]) -> None:
    # other programs read the same file, so that a foreign name is fine unless it looks like one of ours
    known = [knob.variable for knob in knobs()]
    for name, line in lines.items():
        near = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        if near and not name.upper().startswith(PREFIX):
            raise ConfigError(f"{env_file}:{line}: {name} is no setting; did you mean {near[0]}?")


def _refuse_unknown(given: dict[str, Given]) -> None:
    known = [knob.variable for knob in knobs()]
    for name, item in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else "`basisbot config show` and .env.example name them all"
            )
            raise ConfigError(f"{name} (set in {item.source}) is no setting; {hint}")


def _parse(given: dict[str, Given]) -> dict[str, Any]:
    """The values of all knobs of `Config`, nested as it is, compact forms still as text."""
    texts = {name.lower(): item.text for name, item in given.items()}
    try:
        return _model(texts)().model_dump()
    except ValidationError as error:
        raise _sentence(error, given) from None


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


def _sentence(error: ValidationError, given: dict[str, Given]) -> ConfigError:
    """The first mistake as a sentence.  A missing variable comes last: a wrong one may be its misreading."""
    by_path = {knob.path: knob for knob in knobs()}
    mistakes = [
        by_path[tuple(str(part) for part in item["loc"][:2])[: _depth(item["loc"])]]
        for item in error.errors()
    ]
    for knob in mistakes:
        if knob.variable in given and given[knob.variable].text:
            found = given[knob.variable]
            return ConfigError(
                f"{knob.variable}={found.text!r} (set in {found.source}) is not what it takes, "
                f"{knob.accepts}: {knob.meaning}"
            )
    return _missing(mistakes[0], given)


def _depth(loc: tuple[int | str, ...]) -> int:
    return 2 if loc[0] in _GROUPS else 1


def _missing(knob: Knob, given: dict[str, Given]) -> ConfigError:
    state = "is empty" if knob.variable in given else "is not set"
    return ConfigError(f"{knob.variable} {state}, but it takes {knob.accepts}: {knob.meaning}")


def _config(fields: dict[str, Any], given: dict[str, Given]) -> Config:
    for knob in knobs():
        if knob.required and not (knob.variable in given and given[knob.variable].text.strip()):
            raise _missing(knob, given)
    for name, group in _GROUPS.items():
        fields[name] = group(**fields[name])
    capital = _compact(given, "PAIR_CAPITAL_QUOTE", parse_capital)
    fields["pairs"] = _compact(given, "PAIRS", lambda text: parse_pairs(text, capital))
    _compact(given, "PAIR_CAPITAL_QUOTE", lambda _: check_capital(capital, fields["pairs"]))
    fields["paper_balances"] = _compact(given, "PAPER_BALANCES", parse_balances)
    fields["paper_fees_bps"] = _compact(given, "PAPER_FEES_BPS", parse_fees_bps)
    return Config(**fields)


def _compact(given: dict[str, Given], name: str, parse: Callable[[str], Form]) -> Form:
    found = given.get(PREFIX + name)
    try:
        return parse(found.text if found else "")
    except FormError as error:
        raise ConfigError(f"{PREFIX}{name} {error} (set in {found.source if found else DEFAULT})") from None


def secret_in(given: dict[str, Given], name: str) -> SecretStr | None:
    """A secret by its name without prefix, from its variable or the file that ``…_FILE`` names.

    Raises `ConfigError` for both at once, and for a file that cannot be read or is empty.
    """
    text = given[PREFIX + name].text if PREFIX + name in given else ""
    variable = f"{name}_FILE"
    for path in paths_in(given, variable):
        if text:
            raise ConfigError(f"{PREFIX}{name} and {PREFIX}{variable} are both set: keep one of them")
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            # the value is not shown: it may be the secret itself, set in the wrong variable
            raise ConfigError(f"{PREFIX}{variable} names a file that cannot be read: {reason}") from None
        if not text:
            raise ConfigError(f"{PREFIX}{variable} names a file that is empty")
    return SecretStr(text) if text else None


def _ccxt_credentials(given: dict[str, Given]) -> dict[str, dict[str, SecretStr]]:
    text = secret_in(given, "CCXT_CREDENTIALS")
    if text is None:
        return {}
    try:
        told = msgspec.json.decode(text.get_secret_value().encode(), type=dict[str, dict[str, str]])
    except (msgspec.DecodeError, UnicodeEncodeError):
        # neither the text nor where it breaks is shown: it is made of secrets
        raise ConfigError(f"{PREFIX}CCXT_CREDENTIALS is not a JSON object of objects of texts") from None
    return {name: {word: SecretStr(value) for word, value in words.items()} for name, words in told.items()}


def paths_in(given: dict[str, Given], name: str) -> Iterator[Path]:
    """The paths of a variable, by its name without prefix; relative ones to where it stood."""
    found = given.get(PREFIX + name)
    if found is not None:
        for part in filter(None, (part.strip() for part in found.text.split(","))):
            yield found.folder / part
