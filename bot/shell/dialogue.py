"""What an operator and a run say to each other, on both ends of the local API."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from bot.model.pair import Mode

HOST = "127.0.0.1"
STATE_PATH = "/api/v1/state"
READY_PATH = "/readyz"
ORDER_PATH = "/api/v1/"
MODES: dict[str, Mode] = {
    "pause": Mode.PAUSED,
    "reduce": Mode.REDUCE_ONLY,
    "resume": Mode.ACTIVE,
    "flatten": Mode.FLATTENING,
    "halt": Mode.HALTED,
}


ADOPT = "adopt"  # sets no mode; its scope is an account
SETTLE = "settle-residual"  # sets no mode; its scope is one pair


def token_file(journal: Path) -> Path:
    """Where a run without a token in its settings keeps the one that it makes: by the journal's name, so that
    two runs in one folder have two."""
    return journal.with_name(f"{journal.name}.api_token")


class Access(Struct, frozen=True):
    """Where a run listens on `HOST` (0: any free port), and the token it wants to be told; ``kept_in``: where
    the run puts a token of its own making, once the port is its."""

    port: int
    token: str
    kept_in: Path | None = None

    def __repr__(self) -> str:
        return f"Access(port={self.port})"


class RunOver(Exception):
    """The run has written its last row and takes no order any more."""


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an operator's order.  ``scope`` is a pair's name, or ``*`` for everything; an account's
    name for `ADOPT`, and a pair's alone for `SETTLE`."""

    reason: str
    actor: str
    scope: str = "*"


class Done(Struct, frozen=True):
    """The answer to one: its row, what it ordered, and the mode of each pair as it is in force now."""

    seq: int
    scope: str
    ordered: str
    in_force: dict[str, str]


class Refusal(Struct, frozen=True):
    error: str


class Readiness(Struct, frozen=True):
    """``why`` names for each pair what holds it, each as ``code value limit``."""

    ready: bool
    mode: str
    stopping: str
    why: dict[str, tuple[str, ...]]
    channels: dict[str, dict[str, str]]
