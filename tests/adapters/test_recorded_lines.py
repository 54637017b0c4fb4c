"""Recordings of the form ``<local ns> <JSON>``: market, clock, order, and what is wrong with a bad one."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from adapters.binance.market import MarketStream
from adapters.errors import FeedError, FrameError
from adapters.recorded.feeds import exchange_info, open_feeds
from adapters.recorded.frames import Frame
from adapters.recorded.merge import merge
from bot.model.facts import AnyFact, BookGapped
from tests.adapters.synthetic import START_MS, STEADY, depth, instrument, snapshot, ticker, trade

BIDS, ASKS = [("100.0", "50")], [("100.5", "50")]
LOCAL_NS = START_MS * 1_000_000 - 1_270_000_000  # a recorder 1.27 s behind the venue


def frames_of(market: str, count: int = 20) -> list[bytes]:
    frames = [depth(market, (1, 100, 0)), snapshot(market, 100, BIDS, ASKS)]
    frames += [depth(market, (100 + n, 100 + n, 99 + n)) for n in range(1, count - 1)]
    return frames


def lines_of(frames: Sequence[bytes], start_ns: int = LOCAL_NS, step_ns: int = 1000) -> bytes:
    return b"".join(b"%d %b\n" % (start_ns + n * step_ns, frame) for n, frame in enumerate(frames))


def written(path: Path, text: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path


def played(paths: Sequence[Path]) -> list[Frame]:
    return list(merge(open_feeds(paths)))


@pytest.mark.parametrize("market", ["spot", "usdm", "coinm"])
@pytest.mark.parametrize("name", ["recording", "recording.gz"])
def test_market_and_clock_are_told_by_the_frames(tmp_path: Path, market: str, name: str) -> None:
    path = written(tmp_path / name, lines_of(frames_of(market)))
    feed = open_feeds([path])[0]
    assert (feed.name, feed.market, feed.offset_ns) == (f"binance:{market}", market, 1_270_000_000)
    frames = list(merge([feed]))
    assert [at_ns for at_ns, _, _ in frames] == [START_MS * 1_000_000 + n * 1000 for n in range(20)]
    assert frames[0][2] == depth(market, (1, 100, 0))
    assert frames[1][2] == b'{"stream":"%b@snapshot","data":%b}' % (
        b"btcusd_perp" if market == "coinm" else b"btcusdt",
        snapshot(market, 100, BIDS, ASKS),
    )


def test_the_offset_is_the_99th_percentile_of_the_first_frames(tmp_path: Path) -> None:
    early = [depth("spot", (n, n, 0), ms=START_MS + (500 if n == 50 else 0)) for n in range(1, 200)]
    late = [depth("spot", (n, n, 0), ms=START_MS + 9000) for n in range(200, 5000)]
    path = written(
        tmp_path / "a", lines_of(early + [ticker("spot", 1, BIDS[0], ASKS[0])] * 3801 + late, step_ns=0)
    )
    assert open_feeds([path])[0].offset_ns == 1_270_000_000


def test_a_folder_is_all_its_recordings_and_order_of_arguments_does_not_matter(tmp_path: Path) -> None:
    spot = written(tmp_path / "all" / "a" / "x.gz", lines_of(frames_of("spot")))
    usdm = written(tmp_path / "all" / "y", lines_of(frames_of("usdm")))
    written(tmp_path / "all" / ".hidden", b"nothing")
    one = played([tmp_path / "all"])
    assert one == played([usdm, spot]) == played([spot, usdm])
    assert [index for _, index, _ in one] == [0, 1] * 20  # spot before usdm in each instant
    assert [feed.name for feed in open_feeds([usdm, spot])] == ["binance:spot", "binance:usdm"]


def test_merging_is_in_order_of_time_then_feed_then_line(tmp_path: Path) -> None:
    """Blocks are smaller than the files, speeds differ, and many lines share an instant."""
    paths, expected = [], []
    for index, (market, step_ns, count) in enumerate(
        (("coinm", 700, 9000), ("spot", 3000, 2500), ("usdm", 0, 3000))
    ):
        frames = frames_of(market, count)
        start_ns = LOCAL_NS + (2_000_000 if step_ns == 0 else 0)
        paths.append(written(tmp_path / f"{market}.gz", lines_of(frames, start_ns, step_ns)))
        offset_ns = open_feeds(paths[-1:])[0].offset_ns
        expected += [(start_ns + n * step_ns + offset_ns, index, n) for n in range(count)]
    got = played(paths)
    counts = [0, 0, 0]
    seen = []
    for at_ns, index, _ in got:
        seen.append((at_ns, index, counts[index]))
        counts[index] += 1
    assert seen == sorted(expected)


def test_where_names_file_and_line_of_the_last_frame(tmp_path: Path) -> None:
    spot = written(tmp_path / "s", lines_of(frames_of("spot", 3000), step_ns=2000))
    usdm = written(tmp_path / "u", lines_of(frames_of("usdm", 6000)))
    merged = merge(open_feeds([spot, usdm]))
    assert merged.where() == ""
    counts = [0, 0]
    for _, index, _ in merged:
        counts[index] += 1
        if sum(counts) % 97 == 0:
            assert merged.where() == f"{(spot, usdm)[index]}:{counts[index]}"
    assert counts == [3000, 6000]


def test_the_content_and_not_the_name_identifies_a_recording(tmp_path: Path) -> None:
    first = written(tmp_path / "a.gz", lines_of(frames_of("spot")))
    again = written(tmp_path / "b.gz", lines_of(frames_of("spot")))
    other = written(tmp_path / "c.gz", lines_of(frames_of("spot", 21)))
    assert open_feeds([first])[0].sha256 == open_feeds([again])[0].sha256 != open_feeds([other])[0].sha256
    with pytest.raises(FeedError, match=r"this recording is given twice; name it once"):
        open_feeds([first, again])


def test_several_gzip_members_and_a_last_line_without_end_are_read(tmp_path: Path) -> None:
    text = lines_of(frames_of("spot"))
    path = tmp_path / "two.gz"
    path.write_bytes(gzip.compress(text[:700], mtime=0) + gzip.compress(text[700:-1], mtime=0))
    assert len(played([path])) == 20


def test_exchange_info_in_a_feed_is_found(tmp_path: Path) -> None:
    info = b'{"timezone":"UTC","rateLimits":[],"symbols":[]}'
    path = written(tmp_path / "a", lines_of([depth("spot", (1, 1, 0)), info, *frames_of("spot")]))
    assert exchange_info(open_feeds([path])[0]) == b'{"stream":"exchangeInfo","data":' + info + b"}"
    plain = written(tmp_path / "b", lines_of(frames_of("spot", 6000)))
    assert exchange_info(open_feeds([plain])[0]) is None


# --- bad input


def good(text: bytes) -> bytes:
    return text


def with_line(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(text: bytes) -> bytes:
        lines = text.split(b"\n")
        lines[number - 1] = change(lines[number - 1])
        return b"\n".join(lines)

    return changed


BAD_LINES = [
    (with_line(7, lambda line: b"x" + line), "7: is not '<time in ns> <JSON>'"),
    (with_line(7, lambda line: b""), "7: is not '<time in ns> <JSON>'"),
    (with_line(5001, lambda line: b"hello"), "5001: is not '<time in ns> <JSON>'"),
    (with_line(7, lambda line: line[:50]), "7: is not '<time in ns> <JSON>'"),
    (with_line(5001, lambda line: line[:20]), "5001: is not '<time in ns> <JSON>'"),
    (with_line(5001, lambda line: line[:20] + b"{nothing"), "5001: is not '<time in ns> <JSON>'"),
    (with_line(9, lambda line: b"%d" % (LOCAL_NS - 5) + line[19:]), "9: time goes back by 7005 ns; sort"),
    (
        with_line(5001, lambda line: b"%d" % (LOCAL_NS - 5) + line[19:]),
        "5001: time goes back by 4999005 ns; sort",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_LINES)
def test_a_bad_line_is_an_error_that_names_it(
    tmp_path: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    path = written(tmp_path / "bad.gz", spoil(lines_of(frames_of("spot", 6000))))
    with pytest.raises(FeedError) as caught:
        played([path])
    assert str(caught.value).startswith(f"{path}:{message}")


def test_a_line_with_broken_json_in_a_known_stream_is_found_where_it_is_taken(tmp_path: Path) -> None:
    broken = with_line(5001, lambda line: line[:-1])
    path = written(tmp_path / "bad.gz", broken(lines_of(frames_of("spot", 6000))))
    traded = instrument("spot")
    facts: list[AnyFact] = []
    stream = MarketStream("spot", [traded], {traded.id: STEADY}, facts.append)
    merged = merge(open_feeds([path]))

    def play() -> None:
        for at_ns, _, payload in merged:
            stream.on_frame(at_ns, payload)

    with pytest.raises(FrameError):
        play()
    assert merged.where() == f"{path}:5001"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda data: data[: len(data) // 2],
            r"bad.gz:\d+: the data is damaged or cut off \(.*\); copy the file",
        ),
        (lambda data: data[:-3], r"bad.gz:6001: the data is damaged or cut off \(it ends early\); copy"),
        (
            lambda data: data[:9000] + b"\xff" * 40 + data[9040:],
            r"bad.gz:\d+: (the data is damaged or cut off|is not '<time in ns> <JSON>')",
        ),
        (lambda data: data[:3], r"bad.gz:1: the data is damaged or cut off"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, spoil: Callable[[bytes], bytes], message: str) -> None:
    whole = gzip.compress(lines_of(frames_of("spot", 6000)), compresslevel=1, mtime=0)
    path = tmp_path / "bad.gz"
    path.write_bytes(spoil(whole))
    with pytest.raises(FeedError, match=message):
        played([path])


def test_a_file_whose_frames_tell_no_market_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "a", lines_of([trade("spot"), ticker("spot", 1, BIDS[0], ASKS[0])]))
    with pytest.raises(FeedError, match=r"a: none of the first 2 frames is a Binance depth update"):
        open_feeds([path])
    with pytest.raises(FeedError, match=r"none of the first 0 frames"):
        open_feeds([written(tmp_path / "b", b"")])


def test_a_path_that_is_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match=r"absent: there is no such file or folder; check --feed"):
        open_feeds([tmp_path / "absent"])
    with pytest.raises(FeedError, match=r": holds no recording; name a file or a folder with recordings"):
        open_feeds([tmp_path])


def test_frames_of_a_kind_nobody_knows_are_left_to_who_counts_them(tmp_path: Path) -> None:
    path = written(tmp_path / "a", lines_of([*frames_of("spot"), b"[1]", b'{"stream":3}']))
    assert [payload for _, _, payload in played([path])][-2:] == [b"[1]", b'{"stream":3}']


# --- real recordings

RECORDINGS = [
    ("spot", "spot", "btcusdt_20240808.gz", 41_249),
    ("usdm", "usdm", "btcusdt_20240808.gz", 93_954),
    ("coinm", "cm", "btcusd_perp_20240808.gz", 48_270),
]


@pytest.mark.parametrize(("market", "folder", "file", "count"), RECORDINGS)
def test_a_real_recording_is_accounted_for(
    recordings: Path, tmp_path: Path, market: str, folder: str, file: str, count: int
) -> None:
    """All frames, no gap, nothing refused, the known offset; with one depth update taken out, one gap."""
    path = recordings / "wire" / "hftbacktest" / folder / file
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    updates = [n for n, line in enumerate(lines) if b'"depthUpdate"' in line]
    del lines[updates[len(updates) // 2]]
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"".join(lines), compresslevel=1, mtime=0))
    for source, frames, gaps in ((path, count, 0), (cut, count - 1, 1)):
        facts: list[AnyFact] = []
        traded = instrument(market)
        stream = MarketStream(market, [traded], {traded.id: STEADY}, facts.append)
        feeds = open_feeds([source])
        for at_ns, _, payload in merge(feeds):
            stream.on_frame(at_ns, payload)
        counters = stream.counters()
        assert (counters.frames_in, counters.gaps) == (frames, gaps)
        assert counters.refused == counters.ignored == {}
        assert counters.material + counters.immaterial + counters.stale == frames
        assert abs(feeds[0].offset_ns / 1e9 - 1.27) <= 0.01
        assert sum(isinstance(fact, BookGapped) for fact in facts) == gaps
        assert counters.material == len(facts) < 2500
        assert isinstance(facts[-1], BookGapped) == (gaps == 1)
