"""What can go wrong between a bot and its venue: the switches, and scripts that throw them.

A script is written by time (``at=5s disconnect usdm.private for=3s; at=9s adl``) or drawn from a seed
(``seed=7 for=300s``).  `FAULTS` is the one table of what there is; `adapters.rehearsal.disturbed` does what
it says to the bytes between the venue's doors and whoever knocks, `adapters.rehearsal.levers` to the venue
itself.  What must stay true: a script means the same in every run, and no wall clock is read.
"""

from __future__ import annotations

import random
import re
from enum import Enum

from msgspec import Struct

MARKETS = ("spot", "usdm", "coinm")
EVERY_MARKET = "*"
SEEDED_S = 600.0  # how much of a run a seeded script covers
SEEDED_PAUSE_S = 20.0  # mean time between two of its faults


class FaultError(ValueError):
    """A script cannot be read; the message is one sentence."""

    exit_code = 2


class Part(Enum):
    """What a message belongs to; the word after the dot of a target."""

    MARKET = "market"  # frames of market streams
    PRIVATE = "private"  # events of an account
    ORDERS = "orders"  # orders and cancels, and their answers
    READS = "reads"  # every other request, and its answer


class Switch(Struct, frozen=True):
    """One fault there is.  ``lasts_s`` is 0 for what happens once; ``value`` is what ``by=`` changes."""

    sentence: str
    lasts_s: float = 0.0
    parts: tuple[Part, ...] = tuple(Part)
    value: float = 0.0
    is_signed: bool = False  # ``by=`` may be below zero


FAULTS: dict[str, Switch] = {
    "drop": Switch("messages of both directions are lost", 2.0),
    "duplicate": Switch("whatever the venue says over a socket it says twice", 5.0),
    "delay": Switch("messages of both directions come by= seconds late", 5.0, value=1.0),
    "reorder": Switch("neighbouring messages of the venue change places", 5.0),
    "gap": Switch("updates of books are lost", 2.0, (Part.MARKET,)),
    "disconnect": Switch("connections are closed, and while it lasts no new one is accepted", 1.0),
    "half-open": Switch("open sockets die without a word: nothing passes any more, no pong either"),
    "slow": Switch("sockets pass one message of the venue in by= seconds", 5.0, value=0.05),
    "reject": Switch(
        "orders are refused with the code by=, or for want of funds", 5.0, (Part.ORDERS,), 0.0, True
    ),
    "timeout-after-accept": Switch("orders live, and the answer is that nobody knows", 5.0, (Part.ORDERS,)),
    "5xx-after-accept": Switch("orders live, and the answer is a server's failure", 5.0, (Part.ORDERS,)),
    "not-found": Switch("orders that live are unknown when asked for", 5.0, (Part.READS,)),
    "lost-ack": Switch("orders live, and no answer comes", 5.0, (Part.ORDERS,)),
    "late-fills": Switch("fills are told by= seconds late", 5.0, (Part.PRIVATE,), 3.0),
    "double-fills": Switch("fills are told at once and again by= seconds later", 5.0, (Part.PRIVATE,), 2.0),
    "partials": Switch("orders find the share by= of what the book shows", 10.0, (Part.ORDERS,), 0.4),
    "throttle": Switch("429 with Retry-After: by= seconds", 1.0, (Part.ORDERS, Part.READS), 2.0),
    "ban": Switch("418 with Retry-After: by= seconds", 3.0, (Part.ORDERS, Part.READS), 5.0),
    "skew": Switch("the venue's clock is by= seconds off", 10.0, (Part.ORDERS, Part.READS), -3.0, True),
    "listen-key": Switch("the key of a private stream expires", parts=(Part.PRIVATE,)),
    "adl": Switch("the venue takes the share by= of a futures position away", value=0.5),
    "funding-flip": Switch("funding changes its sign and is settled at once"),
    "margin-call": Switch("the venue warns that margin runs out"),
    "maintenance": Switch("the venue answers nobody", 5.0),
    "balance": Switch("by= USDT come into an account by somebody else's hand", value=25.0, is_signed=True),
    "settings": Switch("somebody sets the leverage of contracts to by=", 5.0, value=1.0),
    "reset": Switch("the venue forgets an account's past and funds it anew"),
}


class Fault(Struct, frozen=True):
    """One entry of a script.  ``market`` is ``*`` for all; ``parts`` are what of it is hit."""

    name: str
    at_s: float
    lasts_s: float
    market: str
    parts: tuple[Part, ...]
    value: float

    @property
    def target(self) -> str:
        """As a script says it."""
        is_narrow = self.parts != FAULTS[self.name].parts
        return f"{self.market}.{self.parts[0].value}" if is_narrow else self.market

    def hits(self, market: str, part: Part) -> bool:
        return part in self.parts and self.market in (EVERY_MARKET, market)


Script = tuple[Fault, ...]


def fault(name: str, at_s: float, target: str = "", lasts_s: float | None = None) -> Fault:
    """A switch thrown at ``at_s``, by its defaults but for what is given.  Raises `FaultError`."""
    switch = _switch(name)
    market, parts = _target(target, name)
    return Fault(name, at_s, switch.lasts_s if lasts_s is None else lasts_s, market, parts, switch.value)


def parse(text: str) -> Script:
    """A script from its text, in order of time; the empty text is the empty script.  Raises `FaultError`."""
    found: list[Fault] = []
    for entry in filter(None, (entry.strip() for entry in text.split(";"))):
        seed = re.fullmatch(r"seed=(\d{1,18})(?:\s+for=(\S+))?", entry)
        if seed:
            found.extend(seeded(int(seed[1]), _seconds(seed[2], entry) if seed[2] else SEEDED_S))
        else:
            found.append(_entry(entry))
    return tuple(sorted(found, key=lambda one: one.at_s))


def seeded(seed: int, until_s: float = SEEDED_S) -> Script:
    """Any switch at any time, the same for the same seed.  What ends all trade is left out: a reset."""
    dice = random.Random(seed)
    names = [name for name in FAULTS if name != "reset"]
    found: list[Fault] = []
    at_s = SEEDED_PAUSE_S
    while at_s < until_s:
        found.append(fault(dice.choice(names), round(at_s, 3), dice.choice((EVERY_MARKET, *MARKETS))))
        at_s += dice.uniform(0.25, 1.75) * SEEDED_PAUSE_S
    return tuple(found)


def described() -> str:
    """The table as text, a line for each switch."""
    return "\n".join(f"{name:<21} {switch.sentence}{_default(switch)}" for name, switch in FAULTS.items())


def _default(switch: Switch) -> str:
    numbers = [f"by={switch.value:g}"] if switch.value else []
    numbers += [f"for={switch.lasts_s:g}s"] if switch.lasts_s else []
    return f" ({', '.join(numbers)})" if numbers else ""


def _entry(text: str) -> Fault:
    words = text.split()
    options = dict(word.split("=", 1) for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    unknown = next((name for name in options if name not in ("at", "for", "by")), None)
    if unknown is not None:
        raise FaultError(f"fault {text!r}: {unknown}= is not known; say at=, for= or by=")
    if "at" not in options or not 1 <= len(plain) <= 2:
        raise FaultError(f"fault {text!r}: say at=SECONDS NAME [MARKET.PART] [for=SECONDS] [by=NUMBER]")
    made = fault(plain[0], _seconds(options["at"], text), plain[1] if len(plain) == 2 else "")
    lasts_s = _seconds(options["for"], text) if "for" in options else made.lasts_s
    value = _number(options["by"], text) if "by" in options else made.value
    if value < 0 and not FAULTS[made.name].is_signed:
        raise FaultError(f"fault {text!r}: by={value:g} is below zero, which {made.name} cannot be")
    return Fault(made.name, made.at_s, lasts_s, made.market, made.parts, value)


def _switch(name: str) -> Switch:
    if name not in FAULTS:
        raise FaultError(f"fault {name!r} is not known; there are {', '.join(FAULTS)}")
    return FAULTS[name]


def _target(text: str, name: str) -> tuple[str, tuple[Part, ...]]:
    market, _, part = text.partition(".")
    parts = FAULTS[name].parts
    if market not in ("", EVERY_MARKET, *MARKETS):
        raise FaultError(f"fault {name}: market {market!r} is not one of {', '.join(MARKETS)} or *")
    if part:
        if part not in {one.value for one in parts}:
            raise FaultError(f"fault {name}: part {part!r} is not one of {', '.join(p.value for p in parts)}")
        parts = (Part(part),)
    return market or EVERY_MARKET, parts


def _seconds(text: str, entry: str) -> float:
    seconds = _number(text.removesuffix("s"), entry)
    if seconds < 0:
        raise FaultError(f"fault {entry!r}: {text} is before the start")
    return seconds


def _number(text: str, entry: str) -> float:
    if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", text) is None:
        raise FaultError(f"fault {entry!r}: {text!r} is not a number")
    return float(text)
