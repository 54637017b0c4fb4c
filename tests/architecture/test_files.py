"""What the repository holds, and what no file of it may say."""

from __future__ import annotations

import re

import pytest

from bot.knobs import render_env_example
from tests.architecture.source import ROOT, name_of, project_files, text_files

# paths of one machine; the system's own folders and a container's are fine
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:home|root|Users|work|tmp|var/tmp|mnt)/[\w.-]+")
INDEX_HOST = re.compile(
    r"--(?:extra-)?index-url|https?://[\w.-]*(?:pypi|pythonhosted|/simple)", re.IGNORECASE
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
NEEDED = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "Dockerfile",
    "docker-compose.yml",
    ".dockerignore",
    ".env.example",
    ".ci/run",
    "requirements.lock",
    "requirements-dev.lock",
    "docs/ARCHITECTURE.md",
    "docs/GLOSSARY.md",
    "docs/STYLE.md",
)


def test_what_every_project_has_is_there() -> None:
    assert [name for name in NEEDED if not (ROOT / name).is_file()] == []
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_example_of_the_settings_is_printed_from_their_declarations() -> None:
    written = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == render_env_example(), "run `make env-example`"


def test_no_file_names_a_path_of_one_machine_or_a_package_index() -> None:
    found = []
    for path in text_files():
        if path == ROOT / "tests/architecture/test_files.py":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{name_of(path)}:{number}: {hit.group()}" for hit in MACHINE_PATH.finditer(line)]
            found += [f"{name_of(path)}:{number}: {hit.group()}" for hit in INDEX_HOST.finditer(line)]
    assert found == []


@pytest.mark.parametrize("text", ["see /home/ann/x", "open('/tmp/x')", "/root/.cache"])
def test_a_path_of_one_machine_is_recognised(text: str) -> None:
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["out/tmp/x", "a/home/b", "/data/demo", "tmpfs: [/tmp]", "https://x.org/home/y"]
)
def test_other_paths_are_not(text: str) -> None:
    assert not MACHINE_PATH.search(text)


def test_links_of_the_documents_lead_somewhere() -> None:
    documents = [path for path in project_files() if path.suffix == ".md"]
    assert documents
    links = [
        (path, target) for path in documents for target in LINK.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(links) > 5
    found = [
        f"{name_of(path)}: {target}"
        for path, target in links
        if not target.startswith(("http://", "https://", "mailto:")) and not (path.parent / target).exists()
    ]
    assert found == []


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [path.name[:4] for path in sorted((ROOT / "docs/adr").glob("*.md"))]
    assert numbers == [f"{number:04d}" for number in range(1, len(numbers) + 1)]


def test_the_image_needs_no_special_builder() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("FROM") and "PYTHON_IMAGE" not in line] == []
    assert [line for line in lines if "<<" in line or "--mount" in line or line.startswith("# syntax")] == []
    users = [line for line in lines if line.startswith("USER")]
    assert users == ["USER 10001:10001"]


def test_the_image_builds_with_all_that_the_build_backend_needs() -> None:
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==(?:.*\n)((?:[ #].*\n)*)", lock, re.MULTILINE)
    wanted = {
        name for name, rest in pins if name == "hatchling" or re.search(r"# +(?:via )?hatchling$", rest, re.M)
    }
    listed = re.search(r"awk '/\^\(([^)]*)\)==/", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert listed is not None
    assert set(listed[1].split("|")) == wanted
