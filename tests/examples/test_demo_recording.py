"""The recording that the demonstration runs on: its sequence, its books, and the story it tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct, field

from adapters.errors import FeedError
from examples.make_demo_recording import FOLDER, HOURS, START_MS, Frame, check, frames, write

HOUR_NS = 3_600_000_000_000
START_NS = START_MS * 1_000_000
OUTAGE_NS = (START_NS + 22 * HOUR_NS + 32 * HOUR_NS // 60, START_NS + 22 * HOUR_NS + 38 * HOUR_NS // 60)
MARKETS = ("spot", "usdm", "coinm")
PERPETUALS = ("usdm", "coinm")


class Data(Struct, gc=False):
    """The fields of any stream's frame that these tests look at."""

    event_ms: int = field(name="E", default=0)
    first: int = field(name="U", default=0)
    update: int = field(name="u", default=0)
    previous: int = field(name="pu", default=0)
    bids: Any = field(name="b", default=())
    asks: Any = field(name="a", default=())
    mark: str = field(name="p", default="")
    index: str = field(name="i", default="")
    rate: str = field(name="r", default="")
    time_ms: int = field(name="T", default=0)


class Message(Struct, gc=False):
    data: Data = field(default_factory=Data)
    last_update: int = field(name="lastUpdateId", default=0)
    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


decode = msgspec.json.Decoder(Message).decode


@pytest.fixture(scope="module")
def recording() -> list[Frame]:
    return list(frames())


@pytest.fixture(scope="module")
def messages(recording: list[Frame]) -> dict[str, list[tuple[int, Message]]]:
    """The decoded frames of each stream with their receive times."""
    streams: dict[str, list[tuple[int, Message]]] = {}
    for at_ns, stream, frame in recording:
        streams.setdefault(stream, []).append((at_ns, decode(frame)))
    return streams


Messages = dict[str, list[tuple[int, Message]]]


def stream_of(messages: Messages, market: str, kind: str) -> list[tuple[int, Message]]:
    return next(found for name, found in messages.items() if name.startswith(f"{market}/") and kind in name)


def test_it_lasts_forty_hours_and_time_never_goes_back(recording: list[Frame]) -> None:
    assert datetime.fromtimestamp(START_MS / 1000, UTC) == datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
    assert all(before[0] <= after[0] for before, after in pairwise(recording))
    assert recording[-1][0] - recording[0][0] > (HOURS - 0.01) * HOUR_NS
    assert HOURS >= 36


def test_a_shorter_recording_is_a_prefix(recording: list[Frame]) -> None:
    short = list(frames(hours=1))
    assert len(short) > 3000
    assert short == recording[: len(short)]


def test_event_times_precede_receipt_by_a_few_milliseconds(messages: Messages) -> None:
    for name, stream in messages.items():
        if name == "spot/btcusdt@bookTicker" or "snapshot" in name:
            continue  # these carry no event time in the same place
        lags = {at_ns // 1_000_000 - message.data.event_ms for at_ns, message in stream}
        assert lags <= {5, 6, 7, 8}, name


@pytest.mark.parametrize("market", MARKETS)
def test_depth_comes_every_three_to_five_seconds(messages: Messages, market: str) -> None:
    times = [at_ns for at_ns, _ in stream_of(messages, market, "@depth")]
    pauses = [after - before for before, after in pairwise(times)]
    long = [(before, pause) for before, pause in zip(times, pauses, strict=False) if pause > 5e9]
    assert min(pauses) >= 3e9
    if market == "spot":
        assert not long
    else:
        [(before, pause)] = long
        assert before < OUTAGE_NS[0] < OUTAGE_NS[1] < before + pause
        assert pause < 370e9


def test_in_the_outage_only_spot_is_heard(recording: list[Frame]) -> None:
    heard = {stream.split("/")[0] for at_ns, stream, _ in recording if OUTAGE_NS[0] <= at_ns < OUTAGE_NS[1]}
    assert heard == {"spot"}


def holes(depth: list[tuple[int, Message]], chained: bool) -> Iterator[int]:
    """Receive times of the diffs that do not connect to the one before."""
    for (_, before), (at_ns, after) in pairwise(depth):
        follows = after.data.previous if chained else after.data.first - 1
        if follows != before.data.update:
            yield at_ns


@pytest.mark.parametrize("market", MARKETS)
def test_ids_connect_but_for_one_hole_after_the_outage(messages: Messages, market: str) -> None:
    depth = stream_of(messages, market, "@depth")
    found = list(holes(depth, chained=market != "spot"))
    assert all(message.data.first <= message.data.update for _, message in depth)
    if market == "spot":
        assert found == []
    else:
        [hole_ns] = found
        assert OUTAGE_NS[1] < hole_ns < OUTAGE_NS[1] + 5e9


@pytest.mark.parametrize("market", MARKETS)
def test_each_snapshot_lies_inside_the_diff_that_follows_it(messages: Messages, market: str) -> None:
    depth = stream_of(messages, market, "@depth")
    snapshots = stream_of(messages, market, "snapshot")
    assert len(snapshots) == (1 if market == "spot" else 2)
    for at_ns, snapshot in snapshots:
        after = next(message for seen_ns, message in depth if seen_ns > at_ns)
        assert after.data.first <= snapshot.last_update <= after.data.update


@pytest.mark.parametrize("market", MARKETS)
def test_books_built_from_the_diffs_are_never_crossed(messages: Messages, market: str) -> None:
    _, snapshot = stream_of(messages, market, "snapshot")[0]
    bids, asks = dict(snapshot.bids), dict(snapshot.asks)
    hole_ns = next(holes(stream_of(messages, market, "@depth"), chained=market != "spot"), 2**63)
    for at_ns, message in stream_of(messages, market, "@depth"):
        if at_ns >= hole_ns:
            break
        for side, levels in ((bids, message.data.bids), (asks, message.data.asks)):
            side.update(levels)
            for price in [price for price, size in levels if float(size) == 0]:
                del side[price]
        assert len(bids) == len(asks) == 9
        assert max(map(float, bids)) < min(map(float, asks))


def settled(messages: Messages, market: str) -> dict[int, float]:
    """The last estimate before each settlement, by the settlement's hour after the first midnight."""
    midnight_ms = START_MS - 30 * 60_000
    return {
        (message.data.time_ms - midnight_ms) // 3_600_000: float(message.data.rate)
        for _, message in stream_of(messages, market, "markPrice")
        if message.data.event_ms < message.data.time_ms
    }


@pytest.mark.parametrize("market", PERPETUALS)
def test_four_settlements_pay_well_and_the_last_one_costs(messages: Messages, market: str) -> None:
    rates = settled(messages, market)
    assert list(rates) == [8, 16, 24, 32, 40, 48]
    assert all(0.0006 < rates[hour] < 0.0025 for hour in (8, 16, 24, 32))
    assert rates[40] < -0.0003


def test_the_coin_margined_contract_pays_enough_to_move_its_hedge(messages: Messages) -> None:
    # one contract is 10 bps of a pair of 100,000 USD, and a hedge error up to 5 bps is left alone
    assert sum(rate for hour, rate in settled(messages, "coinm").items() if hour <= 32) > 0.004


@pytest.mark.parametrize("market", PERPETUALS)
def test_the_premium_spikes_in_the_stress_hour_alone(messages: Messages, market: str) -> None:
    marks = [
        (at_ns - START_NS, float(message.data.mark) / float(message.data.index) - 1)
        for at_ns, message in stream_of(messages, market, "markPrice")
    ]
    stress = [premium for at_ns, premium in marks if 22 * HOUR_NS <= at_ns < 22.5 * HOUR_NS]
    calm = [premium for at_ns, premium in marks if not 22 * HOUR_NS <= at_ns < 22.5 * HOUR_NS]
    assert 0.015 < max(stress) < 0.025
    assert max(calm) < 0.003
    assert min(calm) < -0.001


def test_books_are_thin_and_wide_in_the_stress_hour(messages: Messages) -> None:
    for market in MARKETS:
        worst = 500 if market == "coinm" else 0.5
        for at_ns, message in stream_of(messages, market, "bookTicker"):
            bid, ask = float(message.data.bids), float(message.data.asks)
            hour = (at_ns - START_NS) / HOUR_NS
            thin = 22 < hour < 23
            assert (ask / bid - 1 > 3e-4) == thin, (market, hour)
        sizes = [
            float(size)
            for at_ns, message in stream_of(messages, market, "@depth")
            if 22.01 < (at_ns - START_NS) / HOUR_NS < 22.99
            for _, size in message.data.bids
        ]
        assert max(sizes) < worst


def test_the_price_wanders_by_a_few_per_cent(messages: Messages) -> None:
    prices = [float(message.data.index) for _, message in stream_of(messages, "usdm", "markPrice")]
    assert 0.96 < min(prices) / 100_000 < 0.985
    assert 1.015 < max(prices) / 100_000 < 1.04


def test_the_shipped_recording_is_this_one(recording: list[Frame]) -> None:
    assert check(FOLDER, recording) == ""


def test_the_shipped_recording_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 8_000_000


def test_a_check_finds_one_changed_byte(recording: list[Frame], tmp_path: Path) -> None:
    write(tmp_path, recording[:500])
    assert check(tmp_path, recording[:500]) == ""
    at_ns, stream, frame = recording[250]
    changed = [*recording[:250], (at_ns, stream, frame.replace(b"0", b"1", 1)), *recording[251:500]]
    assert "has the hash" in check(tmp_path, changed)
    part = tmp_path / "00000.jsonl.zst"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(FeedError, match=r"00000\.jsonl\.zst"):
        check(tmp_path, recording[:500])


def test_writing_again_replaces_what_was_there(recording: list[Frame], tmp_path: Path) -> None:
    write(tmp_path, recording[:10_000:10])
    manifest = write(tmp_path, recording[:100])
    assert sum(part.frames for part in manifest.parts) == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.jsonl.zst", "manifest.json"]
