"""Values that each are taken and together cannot be meant, and those that are taken and are hardly meant.

Pure: it judges a `Config` alone, before any venue is asked.  `refusals` keep a run from starting, and
`paper_cash` one on paper; `warnings` are told by `config check` and the doctor.  What must stay true: each
sentence names every variable it speaks of, with its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from bot.knobs import NESTED, PREFIX
from bot.model.config import Config, Strategy
from bot.model.ids import InstrumentId, account_of, market_of, symbol_of
from bot.model.money import ZERO, text
from bot.model.pair import PairSpec, Role

REPAIR_S = 1.0  # what one attempt to mend a naked pair may take
CLOSING_MIN = 10  # minutes within which the whole book can be closed
HIGH_APR = 2.0
CASH = ("USDT", "USDC", "FDUSD", "USD", "EUR", "DAI", "TUSD")
_LINEAR = ("usdm", "linear")

# what an exit may do is never less than what an entry may
_EXIT_AT_LEAST = (
    ("fuse.closing_orders_per_min", "fuse.opening_orders_per_min"),
    ("fuse.closing_notional_per_min_quote", "fuse.opening_notional_per_min_quote"),
    ("exit.feed_age_max_s", "limits.feed_age_max_s"),
    ("exit.collar_max_bps", "limits.collar_bps"),
)


def refusals(config: Config) -> Iterator[str]:
    """Contradictions, a sentence each."""
    yield from _stop(config)
    yield from _signals(config)
    yield from _one_clip(config)
    yield from _both_legs(config)
    yield from _capital(config)
    yield from _margin(config)
    for closing, opening in _EXIT_AT_LEAST:
        if _value(config, closing) < _value(config, opening):
            yield f"{_shown(config, closing)} is tighter than {_shown(config, opening)}: exits would wait"
    for pair in config.pairs:
        long, short = coin_of(pair.long), coin_of(pair.short)
        if long and short and long != short:
            yield (
                f"{PREFIX}PAIRS has the pair {pair.name} of {pair.long} and {pair.short}: its legs are of "
                f"{long} and {short}, and none hedges the other"
            )


# what opens is bound first, then the latch binds, and what is given back is given last
_MARGIN_ORDER = (
    ("margin.opening_ratio_min", "limits.margin_ratio_min"),
    ("margin.opening_distance_min", "limits.liquidation_distance_min"),
    ("limits.margin_ratio_min", "margin.deleverage_ratio"),
    ("limits.liquidation_distance_min", "margin.deleverage_distance"),
)


def _margin(config: Config) -> Iterator[str]:
    """Thresholds of margin in the wrong order, and margin that no venue counts."""
    for outer, inner in _MARGIN_ORDER:
        first, second = _value(config, outer), _value(config, inner)
        if first is not None and second is not None and first < second:
            yield (
                f"{_shown(config, outer)} is below {_shown(config, inner)}: nothing opens first, then the "
                "limit binds, then positions are reduced"
            )
    if config.strategy.coin_margin == "spot_leg" and config.mode != "paper":
        yield (
            f"{_name('strategy.coin_margin')}=spot_leg is for paper alone, and {PREFIX}MODE is "
            f"{config.mode}: the venue does not count coins of the spot wallet as margin"
        )


def warnings(config: Config) -> Iterator[str]:
    """What can be meant and mostly is not, a sentence each."""
    strategy = config.strategy
    if strategy.entry_carry_apr is None and strategy.entry_gap_bps is None:
        names = f"{_name('strategy.entry_carry_apr')} and {_name('strategy.entry_gap_bps')}"
        yield f"{names} are both empty: nothing is ever entered"
    if strategy.expected_funding == "settled":
        defaults = {field.name: field.default for field in msgspec.structs.fields(Strategy)}
        for name in ("exit_carry_apr", "hold_planned_h"):
            if getattr(strategy, name) != defaults[name]:
                rule = f"{_name('strategy.expected_funding')} is settled"
                yield f"{_shown(config, f'strategy.{name}')} is not read while {rule}"
    for name in ("entry_carry_apr", "exit_carry_apr", "borrow_apr", "hurdle_apr"):
        value = getattr(strategy, name)
        if value is not None and value > HIGH_APR:
            shown = _shown(config, f"strategy.{name}")
            yield f"{shown} is a fraction a year: {value:g} is {value * 100:g} %"
    if strategy.leg_policy == "sequenced" and config.limits.net_delta_max_quote < strategy.clip_quote:
        yield (
            f"{_name('strategy.leg_policy')}=sequenced has one leg of a clip naked on its way, and "
            f"{_shown(config, 'limits.net_delta_max_quote')} is below "
            f"{_shown(config, 'strategy.clip_quote')}: no whole clip is ever admitted"
        )


def _stop(config: Config) -> Iterator[str]:
    strategy = config.strategy
    rescue_s = strategy.patience_s + (strategy.repair_attempts + 1) * REPAIR_S
    if config.stop_grace_s <= rescue_s:
        yield (
            f"{_shown(config, 'stop_grace_s')} leaves a stop no time to mend what is half done: give more "
            f"than {rescue_s:g}, which is {_shown(config, 'strategy.patience_s')} and a second for each "
            "repair and the unwinding"
        )


def _signals(config: Config) -> Iterator[str]:
    strategy = config.strategy
    ends = [("strategy.exit_gap_bps", "strategy.entry_gap_bps")]
    # a default that is not read is none
    if strategy.expected_funding != "settled" or strategy.exit_carry_apr:
        ends.append(("strategy.exit_carry_apr", "strategy.entry_carry_apr"))
    for leave, enter in ends:
        low, high = _value(config, leave), _value(config, enter)
        if low is not None and high is not None and low > high:
            yield (
                f"{_shown(config, leave)} is above {_shown(config, enter)}: what is entered would be left "
                "at once"
            )
    if strategy.hold_min_s is not None and 0 < strategy.hold_max_s < strategy.hold_min_s:
        yield f"{_shown(config, 'strategy.hold_max_s')} is below {_shown(config, 'strategy.hold_min_s')}"


def _one_clip(config: Config) -> Iterator[str]:
    clip = config.strategy.clip_quote
    for name in ("order_notional_max_quote", "pair_notional_max_quote", "naked_max_quote"):
        if clip > getattr(config.limits, name):
            yield (
                f"{_shown(config, 'strategy.clip_quote')} is above {_shown(config, f'limits.{name}')}: "
                "no whole clip would ever be admitted"
            )


def _both_legs(config: Config) -> Iterator[str]:
    """Limits that bind both legs of a clip at once."""
    clip, limits = config.strategy.clip_quote, config.limits
    most = max(_legs_on_one_venue(pair) for pair in config.pairs)
    needed = {
        "limits.venue_notional_max_quote": most * clip,
        "limits.gross_notional_max_quote": 2 * clip,
        "fuse.opening_notional_per_min_quote": 2 * clip,
        "fuse.closing_notional_per_min_quote": 2 * clip,
    }
    for path, amount in needed.items():
        if _value(config, path) < amount:
            yield (
                f"{_shown(config, path)} is below {text(amount)}, which the legs of a clip need "
                f"({_shown(config, 'strategy.clip_quote')})"
            )
    held, closing = 2 * len(config.pairs) * limits.pair_notional_max_quote, "closing_notional_per_min_quote"
    if CLOSING_MIN * config.fuse.closing_notional_per_min_quote < held:
        yield (
            f"{_shown(config, f'fuse.{closing}')} cannot close the book within {CLOSING_MIN} minutes: both "
            f"legs of {len(config.pairs)} pairs at {_shown(config, 'limits.pair_notional_max_quote')} are "
            f"{text(held)}"
        )


def _legs_on_one_venue(pair: PairSpec) -> int:
    return 2 if pair.long.split(":")[0] == pair.short.split(":")[0] else 1


def _capital(config: Config) -> Iterator[str]:
    limit = config.limits.pair_notional_max_quote
    for pair in config.pairs:
        if pair.capital_quote > limit:
            yield (
                f"{PREFIX}PAIR_CAPITAL_QUOTE gives {pair.name} {text(pair.capital_quote)}, which is above "
                f"{_shown(config, 'limits.pair_notional_max_quote')}: it could never be used"
            )


def paper_cash(config: Config) -> Iterator[str]:
    """Cash for the purchase of a clip, and margin for a short one at the highest leverage; of coins that are
    margin the price is not known here."""
    clip, leverage = config.strategy.clip_quote, Decimal(repr(config.limits.leverage_max))
    needed: dict[str, Decimal] = {}
    for pair in config.pairs:
        for role in Role:
            leg = pair.instrument(role)
            if market_of(leg) == "spot" and role is Role.LONG:
                needed[account_of(leg)] = clip
            elif market_of(leg) in _LINEAR:
                needed.setdefault(account_of(leg), clip / leverage)
    for account, amount in needed.items():
        mine = [balance for balance in config.paper_balances if balance.account == account]
        cash = sum((balance.amount for balance in mine if balance.asset in CASH), ZERO)
        if cash < amount:
            yield (
                f"{PREFIX}PAPER_BALANCES gives {account} {text(cash)} of cash, which is below the "
                f"{amount:.2f} that one clip needs ({_shown(config, 'strategy.clip_quote')})"
            )


def coin_of(leg: InstrumentId) -> str:
    """The coin that a leg's symbol names; empty where a venue's way of naming is not known here."""
    venue, symbol = leg.split(":")[0], symbol_of(leg)
    if "-" in symbol:
        return symbol.split("-")[0]
    if not venue.startswith("binance"):
        return ""
    found = re.fullmatch(rf"([A-Z0-9]+?)(?:{'|'.join(CASH)})(?:_PERP|_\d{{6}})?", symbol)
    return found[1] if found else ""


def _value(config: Config, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _name(path: str) -> str:
    return PREFIX + NESTED.join(path.split(".")).upper()


def _shown(config: Config, path: str) -> str:
    value = _value(config, path)
    return f"{_name(path)}={value:f}" if isinstance(value, Decimal) else f"{_name(path)}={value:g}"
