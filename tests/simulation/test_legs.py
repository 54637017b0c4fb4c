"""Both legs of an entry are checked before either is sent, whichever goes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.model.commands import NoteIdle
from tests.e2e.feeds import Scene
from tests.invariants import check
from tests.simulation.machine import Plan, Played, play
from tests.simulation.test_seeds import MARKETS, POLICIES, count

MARGIN = {"usdm": "USDT=90000", "coinm": "BTC=2"}


def with_cash(perpetual: str, policy: str, cash: int, journal: Path) -> Played:
    """Thirty seconds in which three clips of 20,000 would be entered."""
    changes = {
        "STRATEGY__LEG_POLICY": policy,
        "PAPER_BALANCES": f"binance:spot:USDT={cash},binance:{perpetual}:{MARGIN[perpetual]}",
        "LIMITS__NET_DELTA_MAX_QUOTE": "25000",
    }
    played = play(Plan(Scene(perpetual=perpetual, seconds=30, premium=((0, 1500),)), changes), journal)
    broken, _ = check(played.entries)
    assert not broken, "; ".join(broken[:5])
    return played


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("perpetual", MARKETS)
def test_an_entry_whose_other_leg_cannot_be_paid_is_not_begun(
    perpetual: str, policy: str, tmp_path: Path
) -> None:
    played = with_cash(perpetual, policy, 10_000, tmp_path / "journal")
    assert count(played)["enter"] == 0
    idle = [one for entry in played.entries for one in entry.commands if isinstance(one, NoteIdle)]
    assert "guard_balance" in [one.reason for one in idle]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("perpetual", MARKETS)
def test_clips_end_where_the_cash_does(perpetual: str, policy: str, tmp_path: Path) -> None:
    found = count(with_cash(perpetual, policy, 30_000, tmp_path / "journal"))
    assert found["enter"] == (2 if policy == "together" else 1)
    assert found["OrderRejected"] == 0
    assert found["unwind"] == 0
