"""Commands as the guard hands them out.

Orders are admitted the way everything is: by asking the guard, here with a book so short of the coin that any
purchase of the samples' kind shrinks it.
"""

from __future__ import annotations

from decimal import Decimal

from bot.model.commands import AnyCommand
from bot.model.instrument import Position
from bot.model.pair import Role
from bot.model.store import Leg, Market, Pair, Store
from risk.guard import Admitted, Refused, admit
from tests.instruments import instrument
from tests.shell.samples import PERP, SPOT, START, make_config


def _short_book() -> Store:
    config = make_config()
    (spec,) = config.pairs
    price = Decimal(60_000)
    return Store(
        config=config,
        markets={
            one: Market(instrument(one), mark=price, index=price, mark_seen_ns=START) for one in (SPOT, PERP)
        },
        pairs={
            spec.name: Pair(
                spec,
                Leg(Role.LONG, SPOT, Position(Decimal(-1000), Decimal(-60_000_000))),
                Leg(Role.SHORT, PERP),
            )
        },
    )


_BOOK = _short_book()


def admitted(*commands: AnyCommand) -> tuple[Admitted, ...]:
    """Each command, admitted by itself."""
    found: list[Admitted] = []
    for command in commands:
        verdict = admit(_BOOK, START, (command,))
        assert not isinstance(verdict, Refused), verdict
        found += verdict
    return tuple(found)
