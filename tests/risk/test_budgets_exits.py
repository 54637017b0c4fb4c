"""An exit that was bought back: when the next one by signal or age may go."""

from __future__ import annotations

import pytest

from bot.model.store import Store
from risk import budgets
from tests.risk import build
from tests.risk.build import BTC, NOW, SECOND_NS, D
from tests.risk.test_budgets import BPS_100, EXIT, FEE_BUDGETS, LAST, changes, fees, spent_store


def undone_exit(**budget: float) -> Store:
    """A store whose pair has bought an exit back just now, and whose complete exit costs 13.5."""
    store = spent_store(**budget)
    build.hedge(store, "0.1")
    spending = store.pairs[BTC].spending
    spending.undone_exits, spending.undone_exit_ns, spending.exit_fee = 1, NOW, EXIT
    return store


def exit_code(store: Store, after_s: int) -> str | None:
    found = budgets.exit_block(store, NOW + after_s * SECOND_NS, store.pairs[BTC])
    return None if found is None else found.rule


def test_an_exit_that_was_bought_back_waits_for_its_pause() -> None:
    store = undone_exit()
    assert exit_code(store, 59) == "exit_was_undone"
    assert exit_code(store, 60) is None
    told = budgets.exit_block(store, NOW + 10 * SECOND_NS, store.pairs[BTC])
    assert told is not None
    assert (told.value, told.limit) == ("50", "60"), "seconds left, of how many"
    store.pairs[BTC].spending.undone_exits = 2
    assert exit_code(store, 119) == "exit_was_undone"
    assert exit_code(store, 120) is None
    store.pairs[BTC].spending.undone_exits = 0
    assert exit_code(store, 0) is None


@pytest.mark.parametrize(("field", "code"), FEE_BUDGETS)
def test_the_next_exit_is_covered_by_what_all_fees_leave_of_a_budget(field: str, code: str) -> None:
    assert code != "exit_was_undone"
    store = undone_exit(**{field: 100.0})
    fees(store, 10, other=BPS_100 - 10 - EXIT)
    assert exit_code(store, 60) is None
    fees(store, 10, other=BPS_100 - 10 - EXIT + LAST)
    assert exit_code(store, 60) == "exit_was_undone"
    # a day later it goes in any case, but for the budget of the month
    assert exit_code(store, 24 * 3600) == ("exit_was_undone" if code == "budget_fees_month" else None)
    store.routes.capital = {"EUR": D(6000)}
    assert exit_code(store, 60) is None  # what is not known keeps no exit back


def test_an_exit_bought_back_is_told() -> None:
    store = undone_exit()
    modes, (alert,) = changes(store, ("undone_exit", BTC))
    assert (modes, alert.key, alert.severity) == ([], "budget:undone_exit:BTC", "warning")
    assert "waits 60 s and until" in alert.text
    store.pairs[BTC].spending.refusal = "binance:usdm:BTCUSDT buy: -2027 leverage"
    _, (alert,) = changes(store, ("undone_exit", BTC))
    assert alert.text.endswith("-2027 leverage")
