"""A hold: one reason not to open anything now."""

from __future__ import annotations

from msgspec import Struct


class Hold(Struct, frozen=True):
    """One reason not to open, with its number and limit as text."""

    code: str
    value: str = ""
    limit: str = ""
