"""Journals that version 0.1.0 wrote are read, folded to what it knew, and traded on from."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.core.fold import refold
from bot.model.commands import PlaceOrder, TimeInForce
from bot.model.facts import (
    Booted,
    ForcedFilled,
    ModeOrdered,
    OrderUncertain,
)
from bot.model.ids import ClientId, InstrumentId
from bot.model.instrument import Kind, Position
from bot.model.money import exact_arithmetic
from bot.model.pair import Mode, Purpose
from bot.model.store import Store
from bot.shell.decisions import EARLIER, Reason, reason_of
from bot.shell.rows import read_entries
from bot.shell.verify import verify
from tests.data.journals.summary import summary
from tests.replay.old_journals import BUSY, CALM, FOLDER, LIVE, NAMES, Upgraded, folded, folded_rows, unpacked

DATED = InstrumentId("binance:usdm:ETHUSDT_261225")

# Coins that an inverse leg earned stay the pair's when it goes flat; version 0.1.0 forgot them there.
KEPT_COINS = {"live-spot-inverse": "-0.00012646", "replay-spot-inverse": "0.00130359"}


@pytest.fixture
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return unpacked(request.param, tmp_path)


def test_each_kind_of_run_and_of_pair_is_there() -> None:
    assert set(LIVE) & set(BUSY) == set(BUSY)
    assert set(CALM) <= set(NAMES)
    assert len(NAMES) == 8


@pytest.mark.parametrize("journal", BUSY, indirect=True)
def test_a_busy_journal_has_met_all_that_can_come(journal: Path) -> None:
    found: Counter[str] = Counter()
    for entry in read_entries(journal):
        found.update(type(fact).__name__ for fact in entry.facts)
        found.update(one.purpose.value for one in entry.commands if isinstance(one, PlaceOrder))
        booted = [fact for fact in entry.facts if isinstance(fact, Booted)]
        assert {fact.version for fact in booted} <= EARLIER
        if found["Booted"] == 2 and booted:
            store = folded_rows(islice(read_entries(journal), entry.seq - 1))
            assert all(leg.position.qty for pair in store.pairs.values() for leg in pair.legs)
    for fact in (OrderUncertain, ForcedFilled):
        assert found[fact.__name__]
    assert all(found[purpose.value] for purpose in Purpose if purpose is not Purpose.DRIFT)
    assert found["Booted"] == 2


@pytest.mark.parametrize(("journal", "name"), [(name, name) for name in NAMES], indirect=["journal"])
def test_it_folds_to_what_its_own_version_knew(journal: Path, name: str) -> None:
    known: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if name in KEPT_COINS:
        known["pairs"]["BTC"]["legs"]["short"]["coin_cash"] = KEPT_COINS[name]
    assert summary(folded(journal)) == known


@pytest.mark.parametrize(("journal", "name"), [(name, name) for name in NAMES], indirect=["journal"])
def test_what_is_decided_otherwise_today_has_a_reason(journal: Path, name: str) -> None:
    result = verify(journal)
    assert result.ok, result.text
    assert result.earlier_rows == result.rows > 50
    assert set(result.otherwise) <= {reason.value for reason in Reason}
    otherwise = sum(result.otherwise.values())
    assert f"{otherwise} are decided otherwise" in result.text
    if name in CALM:
        assert otherwise <= 0.01 * result.rows, result.text


def spoilings(order: PlaceOrder) -> dict[str, tuple[PlaceOrder, ...]]:
    """What no changed rule excuses of an order of today."""
    twin = msgspec.structs.replace(order, client_id=ClientId("another"))
    return {
        "sent twice": (order, twin),
        "turned": (msgspec.structs.replace(order, side=order.side.opposite),),
        "ten times as large": (msgspec.structs.replace(order, qty=order.qty * 10),),
        "at twice the price": (msgspec.structs.replace(order, price=order.price * 2),),
        "in another instrument": (msgspec.structs.replace(order, instrument=DATED),),
        "resting": (msgspec.structs.replace(order, tif=TimeInForce.GTC),),
        "counted from another mid": (msgspec.structs.replace(order, arrival_mid=order.arrival_mid * 2),),
    }


@pytest.mark.parametrize("journal", NAMES, indirect=True)
def test_an_order_that_no_changed_rule_explains_has_no_reason(journal: Path) -> None:
    store, met = Store(), Counter[str]()
    with exact_arithmetic():
        for entry in read_entries(journal):
            refold(store, entry)
            for number, order in enumerate(entry.commands):
                if isinstance(order, PlaceOrder):
                    before, after = entry.commands[:number], entry.commands[number + 1 :]
                    for what, spoilt in spoilings(order).items():
                        decided = (*before, *spoilt, *after)
                        assert reason_of(entry.commands, decided, store) is None, (entry.seq, what)
                        met[order.purpose.value] += 1
    assert met["enter"] > 20


# --- trading on -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal", LIVE, indirect=True)
def test_flatten_ends_flat_from_what_it_left(journal: Path) -> None:
    store = folded(journal)
    assert any(leg.position.qty for pair in store.pairs.values() for leg in pair.legs), "the premise"
    world = Upgraded(store)
    world.boot()
    world.give(ModeOrdered("*", Mode.FLATTENING, "ann", "after the upgrade"))
    for _ in range(120):
        world.second()
    assert store.mode is Mode.HALTED, [pair.idle for pair in store.pairs.values()]
    for one in world.instruments:
        if one.kind is not Kind.SPOT:
            assert world.positions.get(one.id, Position()).qty == 0
    for pair in store.pairs.values():
        for leg in pair.legs:
            assert abs(float(leg.position.qty)) * world.price < 25
