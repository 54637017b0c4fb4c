"""What a report says of settings, drift of the protocol, and reasons."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from bot.model.commands import Flatten, LegMissing
from bot.model.facts import (
    Channel,
    ChannelLost,
    FeedEnded,
    ModeOrdered,
    ProtocolDrift,
)
from bot.model.ids import PairName
from bot.model.pair import Mode, Purpose
from bot.shell.report_text import carry_rule, sentence
from tests.shell.report_scene import (
    GAP,
    PERP_WALLET,
    SPOT_WALLET,
    Scene,
    entered,
    make_config,
    told,
)

D = Decimal


def test_settings_are_those_in_force() -> None:
    scene = Scene(make_config(entry_gap_bps=7.5))
    scene.boot()
    report = told(scene)
    assert report.settings["strategy"]["entry_gap_bps"] == 7.5
    assert report.settings["limits"]["naked_max_quote"] == "7000"
    other = Scene(make_config(entry_gap_bps=7.6))
    other.boot()
    assert told(other).settings_sha256 != report.settings_sha256


def test_protocol_drift_and_lost_channels_are_counted() -> None:
    scene = entered()
    scene.row(
        (
            ProtocolDrift(PERP_WALLET, "btcusdt@odd", "unknown field"),
            ChannelLost(SPOT_WALLET, Channel.MARKET, "closed"),
            ModeOrdered("BTC", Mode.HALTED, "desk", "enough"),
            FeedEnded("binance:spot"),
        )
    )
    report = told(scene)
    assert report.protocol_drift == {"binance:usdm btcusdt@odd": 1}
    assert report.pairs[0].mode is Mode.HALTED
    assert report.pairs[0].state.value == "HEDGED"


def test_what_two_pairs_share_belongs_to_neither() -> None:
    config = make_config()
    twin = msgspec.structs.replace(config.pairs[0], name=PairName("TWIN"))
    scene = Scene(msgspec.structs.replace(config, pairs=(config.pairs[0], twin)))
    scene.boot()
    scene.row(scene.market(55_000.0, 4.0))
    scene.both(True, "0.100", Purpose.ENTER, GAP)
    scene.settle("0.0001")
    report = told(scene)
    assert [pair.name for pair in report.pairs] == ["BTC", "TWIN"]
    assert [pair.fills for pair in report.pairs] == [2, 0]
    assert report.funding_payments[0].pair == ""


def test_a_reason_is_told_with_its_numbers() -> None:
    assert sentence(Flatten("mode")) == "Flatten reason=mode"
    assert sentence(LegMissing(naked_base=0.1, naked_s=2.0, attempt=1)) == (
        "LegMissing naked_base=0.1 naked_s=2 attempt=1"
    )


def test_it_says_what_decides_on_carry() -> None:
    base = make_config().strategy
    by_switch = msgspec.structs.replace(base, entry_carry_apr=0.0, borrow_apr=0.01)
    assert "settled rates against 0.05 a year" in carry_rule(by_switch)
    for word, rate in (("estimate", "running estimate"), ("last", "last settled rate")):
        rule = carry_rule(msgspec.structs.replace(by_switch, expected_funding=word))
        assert rate in rule
        assert "not the default" in rule
    assert carry_rule(msgspec.structs.replace(base, entry_carry_apr=None)) == "Nothing is entered by carry."
    scene = Scene(make_config())
    scene.boot()
    assert told(scene).assumptions[-1] == carry_rule(make_config().strategy)
