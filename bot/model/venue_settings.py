"""How an account may be set at its venue: the one rule that the doctor tells and the watch holds by.

The bot's margin arithmetic assumes one wallet for each margin asset that all contracts share (cross), one
position for each contract (one-way), no other asset that pays for a loss (single-asset), and room for the
leverage that its own limit admits.  An account that stands otherwise is set right by a person; until then
nothing is opened in it.  What must stay true: what nobody told is not judged here.
"""

from __future__ import annotations

from msgspec import Struct

from bot.model.config import Config


class Unfit(Struct, frozen=True):
    """A setting that the bot does not trade under: its code, and where it is a number that number and what it
    is measured against."""

    code: str
    value: str = ""
    limit: str = ""


def contract_unfit(config: Config, leverage: int, is_cross: bool) -> Unfit | None:
    """What is wrong with how a contract is set, by `facts.ContractSet`."""
    wanted, limit = config.contract_leverage, config.limits.leverage_max
    if not is_cross:
        return Unfit("isolated_margin")
    if wanted is not None and leverage != wanted:
        return Unfit("leverage_differs", str(leverage), str(wanted))
    if leverage < limit:
        return Unfit("leverage_low", str(leverage), f"{limit:g}")
    return None


def account_unfit(is_hedged: bool, is_multi_assets: bool) -> tuple[Unfit, ...]:
    """What is wrong with how an account is set, by `facts.AccountSet`."""
    found = (Unfit("hedge_mode"),) if is_hedged else ()
    return (*found, Unfit("multi_assets")) if is_multi_assets else found
