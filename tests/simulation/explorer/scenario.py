"""What a seed is: its pairs, settings, wallets, and the schedule of what goes wrong.

Everything is drawn from `Random(seed)`, in one place, so that a seed can be played again.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from msgspec import Struct

from bot.model.config import Config, Fuse, Limits, Strategy
from bot.model.ids import AccountId, PairName
from bot.model.instrument import Instrument
from bot.model.pair import PairSpec, PairState
from tests.simulation.explorer.coins import COINS, KINDS, legs
from tests.simulation.explorer.troubles import TROUBLES

D = Decimal
CRIPPLES = (
    "stale", "one_sided", "lost_market", "lost_private", "lost_orders", "halt", "hedged",
    "coins_missing", "restricted", "coarse_lot", "high_minimum", "squeeze",
)  # fmt: skip
STATES = tuple(PairState)
RARE: tuple[tuple[str, PairState], ...] = (
    *((kind, PairState.LEGGED) for kind in ("adl_whole", "adl_part", "closed_by_hand", "jump")),
    *((kind, PairState.LEGGED) for kind in ("bnb_gone", "funding", "restart")),
    *((kind, PairState.ENTERING) for kind in ("bnb_gone", "coins_missing")),
)
"""What meets a pair in that state only when it is aimed: a moment's trouble seldom finds it."""


class PairPlan(NamedTuple):
    """``coin`` belongs to this pair alone, so that coins at the venue are its own."""

    name: PairName
    coin: str
    kind: str
    long: Instrument
    short: Instrument

    @property
    def legs(self) -> tuple[Instrument, Instrument]:
        return self.long, self.short


class Trouble(Struct):
    """One thing that goes wrong with one leg of one pair, or with that leg's account.

    It begins at ``at_s``, or once the pair is in state ``wanted`` after that, at most ``PATIENT_S`` later.
    """

    kind: str
    pair: int
    leg: int
    at_s: float
    for_s: float
    size: float
    wanted: PairState | None = None
    began_ns: int = 0
    ended: bool = False
    met: tuple[PairState, ...] = ()


class Scenario(Struct):
    seed: int
    pairs: tuple[PairPlan, ...]
    config: Config
    wallets: dict[AccountId, dict[str, Decimal]]
    troubles: list[Trouble]
    phase_s: float
    end_when_naked: bool
    ending: str  # "obedient", or what stays broken
    cripple: Trouble
    last_depth: float
    slow_s: float  # the longest answer that is not lost
    fee_in: str
    dice: Random


def draw(seed: int) -> Scenario:
    dice = Random(seed)
    coins = dice.sample(COINS, dice.choice([1, 1, 2, 3]))
    pairs = []
    for coin in coins:
        kind = dice.choice(KINDS)
        long, short = legs(coin, kind)
        pairs.append(PairPlan(PairName(coin.base), coin.base, kind, long, short))
    clip = dice.choice([1_000, 2_500, 10_000])
    clips = dice.choice([1, 2, 3, 5])
    config = _config(dice, pairs, clip, clips)
    phase_s = dice.uniform(45, 130)
    troubles = [_trouble(dice, pairs, phase_s) for _ in range(dice.randint(4, 13))]
    troubles += _rare(Random(f"{seed} rare"), pairs, phase_s)
    fee_in = dice.choice(["base", "base", "quote", "BNB"])
    if any(one.kind == "bnb_gone" for one in troubles):
        fee_in = "BNB"
    ending = "obedient" if dice.random() < 0.5 else dice.choice(CRIPPLES)
    cripple = _trouble(dice, pairs, phase_s)
    cripple.kind, cripple.wanted = ending, None
    plan = pairs[cripple.pair]
    if ending == "hedged" and plan.legs[cripple.leg].is_spot:
        cripple.leg = 1
    if ending == "coins_missing":
        spots = [number for number, one in enumerate(pairs) if one.long.is_spot]
        if not spots:
            ending = cripple.kind = "stale"
        else:
            cripple.pair, cripple.leg = spots[0], 0
    if ending == "squeeze" and plan.legs[cripple.leg].is_spot:
        cripple.leg = 1
    return Scenario(
        seed=seed,
        pairs=tuple(pairs),
        config=config,
        wallets=_wallets(dice, pairs, clip * clips),
        troubles=sorted(troubles, key=lambda one: one.at_s),
        phase_s=phase_s,
        end_when_naked=dice.random() < 0.7,
        ending=ending,
        cripple=cripple,
        last_depth=dice.choice([0.15, 0.6, 2.0, 6.0]),
        slow_s=dice.choice([0.05, 0.3, 1.0, 3.0]),
        fee_in=fee_in,
        dice=dice,
    )


def _trouble(dice: Random, pairs: list[PairPlan], phase_s: float) -> Trouble:
    kind = dice.choice(tuple(TROUBLES))
    return Trouble(
        kind=kind,
        pair=dice.randrange(len(pairs)),
        leg=dice.randrange(2),
        at_s=dice.uniform(5, max(6.0, phase_s - 5)),
        for_s=dice.choice([dice.uniform(2, 8), dice.uniform(8, 40)]),
        size=dice.random(),
        wanted=dice.choice(STATES) if dice.random() < 0.75 else None,
    )


def _rare(dice: Random, pairs: list[PairPlan], phase_s: float) -> list[Trouble]:
    """In three of four seeds one more trouble, aimed at a state that its kind seldom meets."""
    if dice.random() < 0.25:
        return []
    trouble = _trouble(dice, pairs, phase_s)
    trouble.kind, trouble.wanted = dice.choice(RARE)
    return [trouble]


def _config(dice: Random, pairs: list[PairPlan], clip: int, clips: int) -> Config:
    policy = dice.choice(["together", "together", "sequenced"])
    capital, count = D(clip * clips), len(pairs)
    room = dice.choice([D("1.02"), D("1.3"), D(3)])
    tight = dice.random() < 0.25
    pair_max = (capital + D(clip) / 2) * room
    book = 2 * capital * count
    closing = 4 * clip + capital * count if tight else D(10**7)
    strategy: dict[str, Any] = {
        "leg_policy": policy,
        "entry_gap_bps": 8.0,
        "exit_gap_bps": -8.0,
        "clip_quote": D(clip),
        "clip_interval_s": dice.choice([0.2, 1.0]),
        "slippage_bps": dice.choice([0.0, 0.1, 2.0, 5.0]),
        "patience_s": dice.choice([0.5, 2.0]),
        "repair_attempts": dice.choice([0, 1, 3]),
        "reask_s": dice.choice([2.0, 10.0]),
        "reconcile_s": dice.choice([60.0, 300.0]),
    }
    limits = Limits(
        order_notional_max_quote=D(3 * clip),
        pair_notional_max_quote=pair_max,
        venue_notional_max_quote=book * room * D("1.2") + D(2 * clip),
        gross_notional_max_quote=book * room * D("1.2") + D(2 * clip),
        net_delta_max_quote=D(clip) * dice.choice([D("1.5"), D(10)]),
        naked_max_quote=D(clip) * dice.choice([D("1.5"), D(10)]),
        margin_ratio_min=2.0,
        collar_bps=dice.choice([50.0, 100.0]),
    )
    return Config(
        pairs=tuple(PairSpec(one.name, one.long.id, one.short.id, capital) for one in pairs),
        usdt_usd_rate=D(1),
        strategy=Strategy(**strategy),
        limits=limits,
        fuse=Fuse(opening_notional_per_min_quote=D(10**7), closing_notional_per_min_quote=closing),
    )


def _wallets(dice: Random, pairs: list[PairPlan], capital: int) -> dict[AccountId, dict[str, Decimal]]:
    """Cash for all pairs, coins that were there before, margin of one to three times the capital."""
    wallets: dict[AccountId, dict[str, Decimal]] = {}
    margin = dice.choice([1, 2, 3])
    for plan in pairs:
        for leg in plan.legs:
            wallet = wallets.setdefault(leg.account, {})
            price = next(one.price for one in COINS if one.base == plan.coin)
            coins = D(repr(round(capital / price, 3)))
            if leg.is_spot:
                wallet["USDT"] = wallet.get("USDT", D(0)) + 3 * capital
                wallet[plan.coin] = dice.choice([D(0), D(0), coins])
                wallet["BNB"] = D(5)
            elif leg.inverse:
                wallet[plan.coin] = margin * coins
            else:
                wallet["USDT"] = wallet.get("USDT", D(0)) + margin * capital
    return wallets


def setting(owner: object, name: str, default: float) -> float:
    """A setting that the product may not have yet."""
    found = getattr(owner, name, None)
    return default if found is None else float(found)


class Bounds(NamedTuple):
    """The settings that the judge reads, in seconds, basis points and quote currency."""

    feed_age_s: float
    collar_bps: float
    collar_max_bps: float
    dust_quote: float

    @property
    def collar_steps(self) -> int:
        steps, reached = 0, self.collar_bps
        while reached < self.collar_max_bps:
            steps, reached = steps + 1, reached * 2
        return steps


def bounds_of(config: Config) -> Bounds:
    leaving = getattr(config, "exit", None)
    return Bounds(
        setting(leaving, "feed_age_max_s", 30.0),
        config.limits.collar_bps,
        setting(leaving, "collar_max_bps", 500.0),
        setting(config.strategy, "dust_max_quote", 25.0),
    )
