"""A pair that leaves the settings while it is open: it is still seen, held and closed."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.living import Daemon, Venue, ended

ALONE = {
    "PAIRS": "BTC=binance:spot:BTCUSDT/binance:usdm:BTCUSDT",
    "PAIR_CAPITAL_QUOTE": "BTC=20000",
}


def test_a_pair_that_left_the_settings_while_open_can_still_be_closed(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    with ended(venue):
        before = Daemon(tmp_path, venue.environ())
        with ended(before):
            before.until_hedged()
            assert before.end() == 0
        assert venue.position("coinm") != "0"
        after = Daemon(tmp_path, venue.environ(**ALONE), name="after")
        with ended(after):
            state = after.until_state(
                lambda one: one.ready and all(p.ready for p in one.pairs.values()), "ready"
            )
            assert not state.pairs["BTCUSD"].in_settings
            said = after.tell("flatten", "BTCUSD", "--reason", "not wanted any more")
            assert said.code == 0, said.err
            after.until_state(lambda one: one.pairs["BTCUSD"].state == "FLAT", "BTCUSD FLAT")
            assert venue.position("coinm") == "0"
            assert after.end() == 0
