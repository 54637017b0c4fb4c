"""What the venue does at its own hours, over the whole of it in virtual time: payments dated before the
report that contains them or not, and a death that leaves a pair naked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core import views
from bot.model.commands import PlaceOrder
from bot.model.facts import Booted, Channel, ChannelOpened, FundingPaid, OrderRejected
from bot.model.pair import Purpose
from tests.simulation.test_fault_alone import kept
from tests.virtual.story import Story

SHIPPED = {"FUSE__DEADLINE_S": "5", "STRATEGY__RECEIVE_WINDOW_S": "5", "STRATEGY__REASK_S": "10"}


@pytest.mark.parametrize("begins_s", [1.5, 10.5])
@pytest.mark.parametrize("perpetual", ["usdm", "coinm"])
def test_a_payment_is_booked_whatever_date_the_venue_gives_it(
    perpetual: str, begins_s: float, tmp_path: Path
) -> None:
    """The venue's clock steps back 3 s, and funding is paid right after: by date, before the first report."""
    script = f"at={begins_s}s skew * for=20s by=-3; at={begins_s + 0.3}s funding-flip *"
    told = kept(Story(seconds=70.0, script=script, perpetual=perpetual), tmp_path)  # type: ignore[arg-type]
    paid = [fact for row in told.entries for fact in row.facts if isinstance(fact, FundingPaid)]
    begun_ns = told.store.accounts[told.store.markets[paid[0].instrument].instrument.account].begun_ns
    assert begins_s > 2 or paid[0].venue_ns < begun_ns
    assert views.residual(told.store) == 0


@pytest.mark.parametrize("changes", [{}, SHIPPED], ids=["quick", "shipped"])
def test_a_pair_that_is_naked_at_a_boot_is_repaired_as_soon_as_its_channel_is_open(
    changes: dict[str, str], tmp_path: Path
) -> None:
    """Spot refuses orders from 4 s to 12 s; the bot dies with fresh books and is back half a second later."""
    sent_at_boot, repaired = 0, 0
    for step in range(38, 46):
        folder = tmp_path / str(step)
        folder.mkdir()
        story = Story(script="at=4s reject spot for=8s", seconds=40.0, kills=(step,), changes=changes)
        told = kept(story, folder)
        boot = max(n for n, row in enumerate(told.entries) if any(isinstance(f, Booted) for f in row.facts))
        assert boot > 0
        is_open: set[str] = set()
        rejected = {f.client_id for row in told.entries for f in row.facts if isinstance(f, OrderRejected)}
        for row in told.entries[boot:]:
            orders = [one for one in row.commands if isinstance(one, PlaceOrder)]
            opened = [fact for fact in row.facts if isinstance(fact, ChannelOpened)]
            is_open |= {fact.account for fact in opened if fact.channel is Channel.ORDERS}
            sent_at_boot += bool(orders) and row is told.entries[boot]
            for order in orders:
                assert order.instrument.rsplit(":", 1)[0] in is_open, f"step {step}: {order}"
                is_answered = told.arrived[order.client_id] == 1 or order.client_id in rejected
                assert is_answered, f"step {step}: {order}"
                repaired += order.purpose in (Purpose.REPAIR, Purpose.UNWIND)
    assert not sent_at_boot
    assert repaired
