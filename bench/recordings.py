"""What is replayed: recordings of a real venue where they are at hand, else the one that comes with the
program.

The folder is ``BASISBOT_TEST_DATA`` or, if unset, ``../shared/data`` beside the repository.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parent.parent


class Case(Struct, frozen=True):
    """One paper run: settings and feeds, the files that those are, and how many pairs are traded."""

    name: str
    env_file: Path
    feeds: tuple[Path, ...]
    files: tuple[Path, ...]
    text: str
    parser: str = "gzip and json.loads"  # what the baseline parses the files by
    pairs: int = 1

    @property
    def options(self) -> list[str | Path]:
        """As options of `basisbot paper`."""
        named = [part for feed in self.feeds for part in ("--feed", feed)]
        return ["--env-file", self.env_file, *named]


def demo() -> Case:
    folder = ROOT / "examples" / "demo"
    files = tuple(sorted(folder.glob("*.zst")))
    return Case(
        name="demo",
        env_file=ROOT / "examples" / "demo.env",
        feeds=(folder,),
        files=files,
        text="the shipped demo recording, since there is none of a venue",
        parser="zstd and json.loads",
        pairs=2,
    )


def cases() -> tuple[Case, Case]:
    """The linear and the inverse run."""
    data = (
        Path(os.environ.get("BASISBOT_TEST_DATA", ROOT.parent / "shared" / "data")) / "wire" / "hftbacktest"
    )
    if not data.is_dir():
        return demo(), demo()
    return _recorded(data, "linear", "usdm"), _recorded(data, "inverse", "cm")


def _recorded(data: Path, name: str, market: str) -> Case:
    feeds = (data / "spot", data / market)
    files = tuple(sorted(path for feed in feeds for path in feed.glob("*.gz")))
    env_file = ROOT / "examples" / f"hft-{name}.env"
    return Case(name, env_file, feeds, files, f"recorded spot and {market} frames")
