"""From the paths a user names to feeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path

from adapters.binance.codec import EXCHANGE_INFO
from adapters.errors import FeedError
from adapters.recorded.capture import MANIFEST, PART, CaptureRecording, how_to_end, unended
from adapters.recorded.frames import HEAD_FRAMES, Feed
from adapters.recorded.lines import LinesRecording


def open_feeds(paths: Sequence[Path]) -> list[Feed]:
    """The feeds of files and folders, in order of name and content, whatever the order of ``paths``.

    A folder with a manifest is a capture; any other folder is all recordings in it.  Raises `FeedError` for a
    path that is missing or empty, a file that is no recording, and a recording that is given twice.
    """
    feeds = [feed for path in paths for recording in _recordings(path) for feed in recording.feeds()]
    feeds.sort(key=lambda feed: (feed.name, feed.sha256))
    for first, second in pairwise(feeds):
        if (first.name, first.sha256) == (second.name, second.sha256):
            raise FeedError(f"{second.recording.where(1)}: this recording is given twice; name it once")
    return feeds


def _recordings(path: Path) -> Iterator[LinesRecording | CaptureRecording]:
    if path.name == MANIFEST:
        yield CaptureRecording(path.parent)
    elif path.is_file():
        yield LinesRecording(path)
    elif (path / MANIFEST).is_file():
        yield CaptureRecording(path)
    elif path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        if any(PART in entry.name for entry in inside):
            raise FeedError(
                f"{path}: holds parts of a capture, but no {MANIFEST} that says whose they are; "
                "copy the folder again, or record to another one"
            )
        if not inside:
            raise FeedError(f"{path}: holds no recording; name a file or a folder with recordings")
        for entry in inside:
            yield from _recordings(entry)
    else:
        raise FeedError(f"{path}: there is no such file or folder; check --feed")


def left_out(paths: Sequence[Path]) -> list[str]:
    """A sentence for each part under ``paths`` that is not played, since it has not ended."""
    folders = dict.fromkeys(
        manifest.parent
        for path in paths
        for manifest in (path, *path.rglob(MANIFEST))
        if manifest.name == MANIFEST
    )
    return [
        f"{partial}: is not played, since the part has not ended; {how_to_end(folder)}"
        for folder in folders
        for partial in unended(folder)
    ]


def exchange_info(feed: Feed) -> bytes | None:
    """The exchangeInfo frame, enveloped, among a feed's first frames; ``None`` where there is none."""
    seen = 0
    prefix = b'{"stream":"%b"' % EXCHANGE_INFO.encode()
    mine_is_zero = {market: int(market != feed.market) for market in feed.recording.markets}
    for block in feed.recording.blocks(mine_is_zero):
        for _, index, payload in islice(block, HEAD_FRAMES - seen):
            if index == 0 and payload.startswith(prefix):
                return payload
        seen += len(block)
        if seen >= HEAD_FRAMES:
            break
    return None
