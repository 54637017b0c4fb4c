"""The venue's side of a story: the rehearsal venue under faults, and what it saw of the bot."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal

import msgspec
from msgspec import Struct

from adapters.paper.terms import Terms
from adapters.rehearsal.app import doors
from adapters.rehearsal.auth import Keys, make_keys, read_params
from adapters.rehearsal.disturbed import Disturbance
from adapters.rehearsal.faults import parse
from adapters.rehearsal.levers import VenueLevers
from adapters.rehearsal.refusals import Verb, asked_over_rest
from adapters.rehearsal.seam import Door, Line, Peer, Request, Response
from adapters.rehearsal.teller import Teller
from adapters.rehearsal.world import World
from bot.model.config import Config
from bot.model.facts import AnyFact, ForcedFilled, OrderFilled, VenueReset
from bot.model.ids import InstrumentId, account_of
from bot.model.money import COIN_QUANTUM, ZERO, divide
from bot.ports import Clock
from tests.conftest import ROOT
from tests.virtual.mortal import Fate, StepDoor
from tests.virtual.recording import made, scene
from tests.virtual.story import Story

NAKED_BASE = Decimal("0.004")  # a fiftieth of a clip: more than lots and fees in coin leave over


class Census:
    """A door that counts which orders pass it."""

    def __init__(self, inner: Door, arrived: Counter[str]) -> None:
        self._inner = inner
        self._arrived = arrived

    @property
    def market(self) -> str:
        return self._inner.market

    async def request(self, request: Request) -> Response:
        if asked_over_rest(request) is Verb.PLACE:
            params = read_params(request.query, request.body.decode())
            self._arrived[params.get("newClientOrderId", "")] += 1
        return await self._inner.request(request)

    def accept(self, target: str, peer: Peer) -> Line | Response:
        line = self._inner.accept(target, peer)
        return line if isinstance(line, Response) else _CountingLine(line, self._arrived)


class _Placing(Struct):
    method: str = ""
    params: dict[str, msgspec.Raw] = {}


class _CountingLine:
    def __init__(self, inner: Line, arrived: Counter[str]) -> None:
        self._inner = inner
        self._arrived = arrived

    def receive(self, payload: bytes) -> None:
        if b'"order.place"' in payload:
            placing = msgspec.json.decode(payload, type=_Placing)
            self._arrived[msgspec.json.decode(placing.params["newClientOrderId"], type=str)] += 1
        self._inner.receive(payload)

    def closed(self) -> None:
        self._inner.closed()


class Watch:
    """How long the venue's own positions were naked: the sum of what its fills moved, in base currency.  What
    a reset takes away is gone."""

    def __init__(self, world: World, legs: tuple[InstrumentId, ...]) -> None:
        self._world = world
        self._base = dict.fromkeys(legs, ZERO)
        self._since_ns = 0
        self._longest_ns = 0
        world.subscribe(self._hear)

    def longest_s(self) -> float:
        open_ns = self._world.now_ns() - self._since_ns if self._since_ns else 0
        return max(self._longest_ns, open_ns) / 1e9

    def _hear(self, fact: AnyFact) -> None:
        if isinstance(fact, VenueReset):
            self._base.update((leg, ZERO) for leg in self._base if account_of(leg) == fact.account)
        elif isinstance(fact, OrderFilled | ForcedFilled) and fact.instrument in self._base:
            self._base[fact.instrument] += self._moved(fact)
        else:
            return
        now_ns = self._world.now_ns()
        if abs(sum(self._base.values(), ZERO)) > NAKED_BASE:
            self._since_ns = self._since_ns or now_ns
        elif self._since_ns:
            self._longest_ns = max(self._longest_ns, now_ns - self._since_ns)
            self._since_ns = 0

    def _moved(self, fact: OrderFilled | ForcedFilled) -> Decimal:
        instrument = self._world.instruments[fact.instrument]
        base = fact.side.sign * fact.qty * instrument.contract_size
        if instrument.inverse:
            return divide(base, fact.price, COIN_QUANTUM)
        return base - fact.fee if instrument.is_spot and fact.fee_asset == instrument.base else base


class Venue:
    """The rehearsal venue of a story, on the running loop's time."""

    def __init__(self, story: Story, config: Config, clock: Clock) -> None:
        names = {"spot": "spot", story.perpetual: story.perpetual}
        sources = [(name, (ROOT / "examples/venue" / f"binance-{name}.json").read_bytes()) for name in names]
        terms = Terms(balances=config.paper_balances, reference="mid", missing_funding="estimate")
        feed = made(scene(story.perpetual, round(story.seconds) + 40))
        self.begun_s = asyncio.get_running_loop().time()
        self.world = World(feed, sources, terms, clock)
        self.keys: Keys = make_keys(b"a story of faults")
        self.teller = Teller(self.world, self.keys)
        self.arrived: Counter[str] = Counter()
        self.notes: list[str] = []
        levers = VenueLevers(self.world, self.teller)
        self.layer = Disturbance(parse(story.script), levers, clock, self.notes.append)
        self.fate = Fate(None, _survive)  # of the life that the venue deals with now
        self.doors: dict[str, Door] = {
            name: self.layer.around(StepDoor(Census(door, self.arrived), self._step))
            for name, door in doors(self.world, self.teller).items()
        }
        legs = tuple(leg for pair in config.pairs for leg in (pair.long, pair.short))
        self.watch = Watch(self.world, legs)

    def _step(self, what: str) -> None:
        self.fate.step(what)


def _survive() -> None:
    """What a fate calls that never ends."""
