"""The project's own files, for the tests of its architecture."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = ("bot", "adapters", "risk")


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project: tracked, or new and not ignored; outside a checkout all there are."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
        return tuple(sorted(path for path in names if path.is_file()))
    hidden = {".venv", ".git", "out", "__pycache__"}
    return tuple(
        sorted(
            p for p in ROOT.rglob("*") if p.is_file() and not hidden.intersection(p.relative_to(ROOT).parts)
        )
    )


def python_files(*folders: str) -> list[Path]:
    """Python files, in the given top-level folders or in all."""
    return [
        path
        for path in project_files()
        if path.suffix == ".py" and (not folders or path.relative_to(ROOT).parts[0] in folders)
    ]


def text_files() -> list[Path]:
    """Files of text: everything but recordings and pictures."""
    return [path for path in project_files() if path.suffix not in {".zst", ".gz", ".png"}]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Dotted names of the modules a file imports, wherever in it the import stands."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found
