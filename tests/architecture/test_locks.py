"""Both locks are complete: they are installed without resolving, so what they leave out would be missing.

What a locked package asks for is read from the metadata of its installation, and judged for each system and
Python that the project names, by the markers on both sides.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROOTS = {"requirements.lock": ("report",), "requirements-dev.lock": ("dev",)}
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "platform_machine": machine,
        "os_name": "nt" if sys_platform == "win32" else "posix",
    }
    for python in ("3.11", "3.12", "3.13", "3.14")
    for sys_platform, platform_system, machine in (
        ("linux", "Linux", "x86_64"),
        ("linux", "Linux", "aarch64"),
        ("darwin", "Darwin", "arm64"),
        ("win32", "Windows", "AMD64"),
    )
]


def entries(lock: str) -> list[str]:
    """Lines of a lock, each with its hashes."""
    lines = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def pins(lock: str) -> list[Requirement]:
    return [Requirement(entry.partition("--hash")[0].strip()) for entry in entries(lock)]


def applies(requirement: Requirement, environment: dict[str, str], extras: Iterable[str] = ()) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))


def wanted_by_the_project(extras: Iterable[str]) -> Iterator[Requirement]:
    """What the project asks for with these extras; an extra may name others of the project's own."""
    yield from map(Requirement, PROJECT["dependencies"])
    for extra in extras:
        for item in map(Requirement, PROJECT["optional-dependencies"][extra]):
            if item.name == PROJECT["name"]:
                yield from wanted_by_the_project(item.extras)
            else:
                yield item


def wanted_by(pin: Requirement) -> list[Requirement]:
    return [Requirement(item) for item in metadata.requires(pin.name) or ()]


def is_installed(pin: Requirement) -> bool:
    try:
        return metadata.version(pin.name) in pin.specifier
    except metadata.PackageNotFoundError:
        return False


def lacking(
    locked: Sequence[Requirement], roots: Iterable[Requirement], environment: dict[str, str]
) -> set[str]:
    """What somebody asks for in this environment, and the lock does not hold as it was asked for."""
    held = {canonicalize_name(pin.name): pin for pin in locked if applies(pin, environment)}
    asked = [("the project", root) for root in roots if applies(root, environment)]
    for pin in held.values():
        if is_installed(pin):
            asked += [(pin.name, item) for item in wanted_by(pin) if applies(item, environment, pin.extras)]
    return {
        f"{who} asks for {item}"
        for who, item in asked
        if not satisfies(held.get(canonicalize_name(item.name)), item)
    }


def satisfies(pin: Requirement | None, item: Requirement) -> bool:
    if pin is None or not item.extras <= pin.extras:
        return False
    (version,) = (clause.version for clause in pin.specifier)
    return item.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("lock", list(ROOTS))
def test_a_lock_pins_everything_with_hashes(lock: str) -> None:
    assert len(entries(lock)) > 30
    assert [entry for entry in entries(lock) if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", list(ROOTS))
def test_what_is_installed_is_what_the_lock_pins(lock: str) -> None:
    here = [pin for pin in pins(lock) if pin.marker is None or pin.marker.evaluate()]
    assert len(here) > 30
    assert [str(pin) for pin in here if not is_installed(pin)] == [], "run `make setup`"


@pytest.mark.parametrize("lock", list(ROOTS))
def test_a_lock_holds_all_that_is_asked_for_extras_included(lock: str) -> None:
    roots = list(wanted_by_the_project(ROOTS[lock]))
    assert {"ccxt", "plotly"} <= {root.name for root in roots}
    found = set().union(*(lacking(pins(lock), roots, environment) for environment in ENVIRONMENTS))
    assert found == set(), "make the locks anew as CONTRIBUTING says"


def test_a_lost_extra_and_a_lost_package_are_found() -> None:
    lock = pins("requirements-dev.lock")
    assert [pin.name for pin in lock if pin.extras] == ["coverage"]
    bare = [Requirement(re.sub(r"\[.*?\]", "", str(pin))) for pin in lock]
    assert lacking(bare, (), ENVIRONMENTS[0]) == {"pytest-cov asks for coverage[toml]>=7.10.6"}
    fewer = [pin for pin in lock if pin.name != "multidict"]
    assert {text.split()[0] for text in lacking(fewer, (), ENVIRONMENTS[0])} == {"aiohttp", "ccxt", "yarl"}


def test_the_same_package_has_the_same_version_in_both_locks() -> None:
    shipped, dev = ({(pin.name, str(pin.specifier), str(pin.marker)) for pin in pins(lock)} for lock in ROOTS)
    assert {name for name, _, _ in shipped - dev} == set()


def test_every_installation_takes_the_lock_as_it_is() -> None:
    for name in ("Makefile", "Dockerfile"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if "pip install" in line]
        assert lines
        commands = [part for line in lines for part in line.split("&&") if "pip install" in part]
        assert [part for part in commands if "--no-deps" not in part] == []
        assert [part for part in commands if "-r " in part and "--require-hashes" not in part] == []
