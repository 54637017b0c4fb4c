"""The table of ways out, row by row: its mend taken back, and who notices.

A killer is a seed of the explorer with its ending, or, where no seed can show the row, the test that does.
What must stay true: each text to be replaced stands in its file exactly once, so that a change of the code
cannot leave a row without a mutant unnoticed.
"""

from __future__ import annotations

from msgspec import Struct


class Seed(Struct, frozen=True):
    """A seed of `tests.simulation.explorer`, and the ending that it plays."""

    number: int
    ending: str

    def words(self) -> str:
        return f"seed {self.number}, {self.ending}"


class Case(Struct, frozen=True):
    """A test; ``why`` no seed shows it."""

    node: str
    why: str

    def words(self) -> str:
        return f"{self.node.rpartition('::')[2]}, since {self.why}"


class Change(Struct, frozen=True):
    """In ``file`` the text ``old`` becomes ``new``."""

    file: str
    old: str
    new: str


class Row(Struct, frozen=True):
    """One mend taken back: ``number`` is the row of the table."""

    number: int
    what: str
    changes: tuple[Change, ...]
    killer: Seed | Case


CANDIDATES, TRADABLE = "bot/core/decide/candidates.py", "risk/tradable.py"
ROWS: tuple[Row, ...] = (
    Row(
        1, "where completing is forbidden nothing is bought back",
        (
            Change(
                CANDIDATES,
                "    order = (grow, grow.other) if completing else (grow.other, grow)\n",
                "    order = (grow,)\n",
            ),
        ),
        Seed(22, "obedient"),
    ),
    Row(
        2, "coins below every minimum are a position",
        (
            Change(
                TRADABLE,
                "    if qty == 0 or not instrument.is_spot:\n        return qty == 0\n",
                "    return qty == 0\n",
            ),
        ),
        Seed(3, "obedient"),
    ),
    Row(
        3, "the fee of a purchase is always paid in the coins bought",
        (
            Change(
                TRADABLE,
                "    asset = market.fee_assets.get(side) or instrument.fee_asset(side)\n",
                "    asset = instrument.fee_asset(side)\n",
            ),
        ),
        Case(
            "tests/core/test_fee_assets.py::test_a_setting_that_is_told_spares_the_first_purchase_too",
            "none of the first 600 seeds breaks a law by it",
        ),
    ),
    Row(
        4, "a group goes although one of its orders meets no price",
        (
            Change(
                CANDIDATES,
                "    return depth if depth > 0.0 else",
                '    return depth or float("inf") if depth >= 0.0 else',
            ),
            Change(
                "bot/core/decide/draft.py",
                "        if not pricing.meets_book(market, side, price):\n            return beyond_collar(",
                "        if price <= 0:\n            return beyond_collar(",
            ),
        ),
        Seed(29, "squeeze"),
    ),
    Row(
        5, "an index of any age bounds a price",
        (
            Change(
                "bot/core/decide/pricing.py",
                "    if market.index is not None and (opening or is_young):\n",
                "    if market.index is not None:\n",
            ),
        ),
        Case(
            "tests/core/test_way_out.py::test_a_frozen_index_bounds_no_price_the_book_s_own_mid_does",
            "none of the first 600 seeds breaks a law by it",
        ),
    ),
    Row(
        6, "the leg that can trade leaves alone",
        (
            Change(
                CANDIDATES,
                "            return of_kept(hold) if forced else of_hold(hold)\n        found = _depth(",
                "            continue\n        found = _depth(",
            ),
        ),
        Seed(12, "halt"),
    ),
    Row(
        7, "what the first candidate is kept from ends the search",
        (
            Change(
                CANDIDATES,
                "            kept.append(found)\n",
                "            return found\n",
            ),
        ),
        Seed(33, "lost_orders"),
    ),
    Row(
        8, "an exit waits for a ladder that holds a whole clip",
        (
            Change(
                "bot/core/decide/sizing.py",
                "    if depth_base < least_base * LADDER_SHARE:\n",
                "    if depth_base < min(clip_base, whole_base):\n",
            ),
        ),
        Seed(4, "obedient"),
    ),
    Row(
        9, "a group is sent whatever the fuse has left",
        (
            Change(
                CANDIDATES,
                "    left_quote = leg_room_quote(store, config, Purpose.EXIT, at_ns, len(held))\n",
                "    left_quote = Decimal(10**12)\n",
            ),
        ),
        Case(
            "tests/core/test_way_out_sizes.py::test_the_table_asks_for_no_more_than_the_fuse_lets_pass",
            "none of the first 600 seeds breaks a law by it",
        ),
    ),
    Row(
        10, "what one leg cannot trade is closed in the other",
        (
            Change(
                "bot/core/decide/sizing.py",
                '        return "stranded"\n    least_base = max(',
                "        return Size(long_most, short_most)\n    least_base = max(",
            ),
        ),
        Seed(50, "coarse_lot"),
    ),
    Row(
        11, "coins that an inverse leg earned count without a leg",
        (
            Change(
                "risk/exposure.py",
                "    return not is_gone(store, first) and not is_gone(store, second)\n",
                "    return True\n",
            ),
        ),
        Seed(50, "coarse_lot"),
    ),
    Row(
        12, "a contract that shrank is never taken over",
        (
            Change(
                "bot/core/shortfall.py",
                "if before.get(name) == venue)\n",
                "if venue is None)\n",
            ),
        ),
        Seed(18, "obedient"),
    ),
    Row(
        13, "a renamed pair and its old name both own the contract",
        (
            Change(
                "risk/ownership.py",
                "            if name != pair.spec.name and _is_open(store.pairs[name], leg.instrument):\n",
                "            if name == pair.spec.name and _is_open(store.pairs[name], leg.instrument):\n",
            ),
        ),
        Case(
            "tests/core/test_renamed.py::test_the_new_name_is_held_and_the_old_one_only_becomes_smaller",
            "the explorer renames no pair",
        ),
    ),
    Row(
        14, "in sequenced the first leg of an exit waits for what opens",
        (
            Change(
                CANDIDATES,
                '    if (\n        forced\n        or config.strategy.leg_policy == "together"\n',
                '    if (\n        config.strategy.leg_policy == "together"\n',
            ),
            Change(
                CANDIDATES,
                "    return whole if isinstance(first, Idle) else first\n",
                "    return first\n",
            ),
        ),
        Seed(8, "obedient"),
    ),
    Row(
        15, "coins that the venue does not hold are sold",
        (
            Change(
                TRADABLE,
                "    lacking = shortfall_qty(store, leg)\n    qty = leg.position.qty\n",
                "    lacking = ZERO\n    qty = leg.position.qty\n",
            ),
        ),
        Seed(159, "coins_missing"),
    ),
    Row(
        16, "what shrinks needs as young a book as what opens",
        (
            Change(
                "risk/needs.py",
                "_book_hold(store, at_ns, market, config_of(store).exit.feed_age_max_s)\n",
                "_book_hold(store, at_ns, market, config_of(store).limits.feed_age_max_s)\n",
            ),
        ),
        Case(
            "tests/core/test_way_out.py::test_what_shrinks_may_take_an_older_book",
            "none of the first 600 seeds breaks a law by it",
        ),
    ),
    Row(
        17, "one leg that is left is not hedged by the other",
        (
            Change(
                CANDIDATES,
                "    order = (grow, grow.other) if completing else (grow.other, grow)\n",
                "    order = (grow, grow.other) if completing else (grow.other,)\n",
            ),
        ),
        Seed(75, "halt"),
    ),
    Row(
        18, "an order leaves before its channel is open",
        (
            Change(
                "risk/needs.py",
                '    if Channel.ORDERS in account.lost:\n'
                '        return Hold("channel_lost", f"{account.id} {Channel.ORDERS.value}")\n',
                "",
            ),
        ),
        Seed(57, "lost_orders"),
    ),
)  # fmt: skip
