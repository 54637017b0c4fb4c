"""One journal entry: the facts of one batch and the commands it led to, as bytes and back.

The encoding is JSON with structs as tagged arrays: short, readable with any tool, and open at the end for
fields that later versions add.  Equal entries have equal bytes, which is what replay compares and hashes.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bot.model.commands import AnyCommand
from bot.model.facts import AnyFact

SCHEMA = 1


class Entry(Struct, frozen=True):
    seq: int
    at_ns: int
    facts: tuple[AnyFact, ...]
    commands: tuple[AnyCommand, ...]


_encoder = msgspec.json.Encoder()
_facts = msgspec.json.Decoder(tuple[AnyFact, ...])
_commands = msgspec.json.Decoder(tuple[AnyCommand, ...])


def encode_items(items: tuple[AnyFact, ...] | tuple[AnyCommand, ...]) -> bytes:
    return _encoder.encode(items)


def decode_entry(seq: int, at_ns: int, facts: bytes, commands: bytes) -> Entry:
    """Raises ``msgspec.DecodeError`` for bytes that are not an entry of a known schema."""
    return Entry(seq, at_ns, _facts.decode(facts), _commands.decode(commands))
