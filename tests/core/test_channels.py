"""Who is told of a channel that is down, and when: refusals at once, outages after a minute, the end once."""

from __future__ import annotations

import msgspec
import pytest

from bot.model.commands import RaiseAlert
from bot.model.facts import AnyFact, Booted, Channel, ChannelLost, ChannelOpened
from bot.model.ids import AccountId
from tests.core.world import World, hedged

SECOND_NS = 1_000_000_000
USDM = AccountId("binance:usdm")
DENIED = "the venue refuses the key: -2015 Invalid API-key, IP, or permissions for action."


def told(world: World, *facts: AnyFact, after_s: int = 0) -> list[tuple[str, str, str]]:
    """The alerts of one step, ``after_s`` seconds after the last."""
    world.commands = []
    world.at_ns += after_s * SECOND_NS
    if facts:
        world.give(*facts)
    else:
        world.tick()
    return [(one.key, one.severity, one.text) for one in world.commands if isinstance(one, RaiseAlert)]


def test_a_refused_channel_is_told_at_once_and_again_only_when_it_is_due() -> None:
    world = hedged()
    ((key, severity, text),) = told(world, ChannelLost(USDM, Channel.PRIVATE, DENIED, is_refused=True))
    assert (key, severity) == ("channel:binance:usdm private", "critical")
    assert DENIED in text
    assert "a person" in text
    again = ChannelLost(USDM, Channel.PRIVATE, "unsent: no route")
    assert told(world, again, after_s=5) == []
    assert told(world, ChannelLost(USDM, Channel.PRIVATE, DENIED, is_refused=True), after_s=5) == []
    assert told(world, after_s=40) == []
    assert [one[:2] for one in told(world, after_s=20)] == [("channel:binance:usdm private", "critical")]
    assert told(world, after_s=120) == []
    ((key, severity, text),) = told(world, ChannelOpened(USDM, Channel.PRIVATE))
    assert (key, severity) == ("channel:binance:usdm private", "info")
    assert told(world, ChannelOpened(USDM, Channel.PRIVATE)) == []


def test_a_channel_that_comes_back_within_the_minute_is_no_news() -> None:
    world = hedged()
    assert told(world, ChannelLost(USDM, Channel.ORDERS, "closed: 1006")) == []
    assert told(world, after_s=55) == []
    assert told(world, ChannelOpened(USDM, Channel.ORDERS)) == []


def test_a_channel_that_stays_lost_is_told_after_a_minute() -> None:
    world = hedged()
    assert told(world, ChannelLost(USDM, Channel.MARKET, "closed: 1006")) == []
    assert told(world, ChannelLost(USDM, Channel.MARKET, "unsent: no route"), after_s=30) == []
    ((key, severity, text),) = told(world, after_s=40)
    assert (key, severity) == ("channel:binance:usdm market", "warning")
    assert text.endswith("unsent: no route")
    assert told(world, after_s=40) == []
    # what was down turns out to be refused: that is other news
    denied = ChannelLost(USDM, Channel.MARKET, DENIED, is_refused=True)
    assert [one[1] for one in told(world, denied)] == ["critical"]


@pytest.mark.parametrize("was_told", [True, False])
def test_an_outage_lasts_across_a_boot_if_it_was_told_and_counts_from_the_boot_if_not(was_told: bool) -> None:
    world = hedged()
    told(world, ChannelLost(USDM, Channel.PRIVATE, "closed: 1006"))
    assert [one[1] for one in told(world, after_s=61 if was_told else 40)] == ["warning"] * was_told
    starting = ChannelLost(USDM, Channel.PRIVATE, "starting")
    assert told(world, Booted("0run0001", "0", world.config, "clean"), starting) == []
    assert told(world, after_s=30) == []
    every = [f"channel:{account} {channel.value}" for account in world.wallets for channel in Channel]
    assert [(one[0], one[1]) for one in told(world, after_s=31)] == [(key, "warning") for key in every]
    ended = told(world, ChannelOpened(USDM, Channel.PRIVATE))
    assert [(severity, text.split(";")[0]) for _, severity, text in ended] == [
        ("info", "binance:usdm private is open again")
    ]


def test_an_outage_that_ends_while_the_bot_starts_is_told_to_be_over() -> None:
    world = hedged()
    told(world, ChannelLost(USDM, Channel.PRIVATE, DENIED, is_refused=True))
    starting = ChannelLost(USDM, Channel.PRIVATE, "starting")
    assert told(world, Booted("0run0001", "0", world.config, "clean"), starting) == []
    assert [one[1] for one in told(world, ChannelOpened(USDM, Channel.PRIVATE), after_s=3)] == ["info"]


def test_an_account_on_which_nothing_depends_is_nobodys_worry() -> None:
    world = hedged()
    other = world.config.pairs[0]
    config = msgspec.structs.replace(world.config, pairs=())
    world.give(Booted("0run0001", "0", config, "clean"))
    world.store.pairs.pop(other.name)
    assert told(world, ChannelLost(USDM, Channel.PRIVATE, "no setting names this account any more")) == []
    assert told(world, after_s=61) == []
