"""The rule of how an account must be set at its venue."""

from __future__ import annotations

import pytest

from bot.model.venue_settings import Unfit, account_unfit, contract_unfit
from tests.core.world import make_config


@pytest.mark.parametrize(
    ("wanted", "leverage", "is_cross", "unfit"),
    [
        (None, 3, True, None),
        (None, 125, True, None),
        (None, 2, True, Unfit("leverage_low", "2", "3")),
        (None, 0, True, Unfit("leverage_low", "0", "3")),  # the venue states none
        (5, 5, True, None),
        (5, 20, True, Unfit("leverage_differs", "20", "5")),
        (2, 2, True, Unfit("leverage_low", "2", "3")),  # the limit holds over the wish
        (None, 20, False, Unfit("isolated_margin")),
        (5, 20, False, Unfit("isolated_margin")),
    ],
)
def test_a_contract(wanted: int | None, leverage: int, is_cross: bool, unfit: Unfit | None) -> None:
    config = make_config(contract_leverage=wanted)
    assert config.limits.leverage_max == 3
    assert contract_unfit(config, leverage, is_cross) == unfit


def test_an_account() -> None:
    assert account_unfit(is_hedged=False, is_multi_assets=False) == ()
    assert account_unfit(is_hedged=True, is_multi_assets=False) == (Unfit("hedge_mode"),)
    assert account_unfit(is_hedged=True, is_multi_assets=True) == (Unfit("hedge_mode"), Unfit("multi_assets"))
