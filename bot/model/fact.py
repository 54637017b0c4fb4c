"""What every fact is."""

from __future__ import annotations

from msgspec import Struct


class Fact(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all facts; the tag is the class name."""
