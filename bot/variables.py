"""Variables as they are found: the environment and at most one file, before anybody asks what they mean.

The environment beats the file.  A variable with our prefix that is no setting is a mistake, since one that is
silently ignored is one that the operator believes in; a name that looks like one of ours is a mistake too.
What must stay true: a secret given as a file is read here and quoted nowhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv.main import resolve_variables
from dotenv.parser import parse_stream
from msgspec import Struct
from pydantic import SecretStr

from bot.knobs import FOREIGN, PREFIX, ConfigError, knobs

ENVIRONMENT = "environment"


class Given(Struct, frozen=True):
    """One variable as it was found: its text, where it stood and the folder its paths are relative to."""

    text: str
    source: str
    folder: Path


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


def refuse_unknown(given: Mapping[str, Given]) -> None:
    """Raises `ConfigError` for a variable of ours that is no setting."""
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


def secret_in(given: Mapping[str, Given], name: str) -> SecretStr | None:
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


def paths_in(given: Mapping[str, Given], name: str) -> Iterator[Path]:
    """The paths of a variable, by its name without prefix; relative ones to where it stood."""
    found = given.get(PREFIX + name)
    if found is not None:
        for part in filter(None, (part.strip() for part in found.text.split(","))):
            yield found.folder / part
