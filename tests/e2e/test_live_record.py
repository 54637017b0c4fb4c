"""What is recorded from the servers replays; what a recorder must not do to a disk, it does not."""

from __future__ import annotations

import json
import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.recorded.capture import CaptureRecording, read_manifest, unended
from adapters.recorded.writer import CaptureWriter
from tests.e2e.living import ENV_FILE, PATIENCE_S, SMALL, Living, Venue, ended
from tests.e2e.process import basisbot, lawful, paper

BALANCES = "binance:spot:USDT=350000,binance:usdm:USDT=100000,binance:coinm:BTC=1"


def test_what_is_recorded_replays_with_the_description_that_was_recorded(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    recording = tmp_path / "recording"
    command = ("record", "--env-file", ENV_FILE, "--out", recording, "--json")
    with ended(venue):
        recorder = Living(tmp_path, "recorder", venue.environ(), *command)
        with ended(recorder):
            for market in ("spot", "usdm", "coinm"):
                recorder.until_said(
                    f'{{"account": "binance:{market}", "channel": "market", "event": "Channel'
                )
            assert recorder.end() == 0
        told = json.loads(recorder.out.read_text())
        assert told["folder"] == str(recording)
        assert [secret for secret in venue.secrets if secret in recorder.said] == []
        again = basisbot(*command, cwd=tmp_path, env=venue.environ())
        assert again.code == 2
        assert "holds a capture already; give --resume" in again.err
    env = {**SMALL, "BASISBOT_PAPER_BALANCES": BALANCES}
    done = paper(tmp_path, [recording], env, "--env-file", ENV_FILE)
    lawful(done)
    assert done.report.frames_in == told["frames"]
    assert [pair.name for pair in done.report.pairs] == ["BTC", "BTCUSD"]


def test_recording_ends_while_there_is_still_room(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    with ended(venue):
        command = ("record", "--env-file", ENV_FILE, "--out", "recording", "--free-mb", "999999999")
        done = basisbot(*command, cwd=tmp_path, env=venue.environ())
    assert (done.code, done.out) == (1, "")
    assert "999999999 MB are to be kept" in done.err
    assert "--free-mb" in done.err


@contextmanager
def recording(venue: Venue, out: Path, part: int, *more: str) -> Iterator[Living]:
    """A recorder that has brought something of that part to disk."""
    partial = out / f"{part:05d}.jsonl.zst.partial"
    command: tuple[str | Path, ...] = ("record", "--env-file", ENV_FILE, "--out", out, "--sync-s", "1", *more)
    living = Living(out.parent, f"recorder{part}", venue.environ(), *command)
    with ended(living):
        living.until(lambda: (partial.is_file() and partial.stat().st_size) or None, f"some of {partial}")
        yield living


def test_a_killed_recorder_is_gone_on_with_and_what_came_of_it_replays(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    out = tmp_path / "recording"
    env = {**SMALL, "BASISBOT_PAPER_BALANCES": BALANCES}
    with ended(venue):
        with recording(venue, out, 0) as living:
            living.end(signal.SIGKILL)
        early = paper(tmp_path, [out], env, "--env-file", ENV_FILE)
        assert early.code == 4
        assert f"{out}: no part of the capture has ended yet" in early.err
        assert f"`basisbot record --out {out} --resume`" in early.err
        with recording(venue, out, 1, "--resume") as living:
            (line,) = (line for line in living.said.splitlines() if "part_taken_over" in line)
            taken = json.loads(line)
            assert (taken["file"], taken["cut_bytes"]) == ("00000.jsonl.zst", "0")
            assert int(taken["frames"]) == read_manifest(out).parts[0].frames > 0
            command = ("record", "--env-file", ENV_FILE, "--out", out, "--resume")
            beside = basisbot(*command, cwd=tmp_path, env=venue.environ())
            assert (beside.code, beside.out) == (4, "")
            assert f"{out}: another recorder writes it" in beside.err
            living.end(signal.SIGKILL)
        partly = paper(tmp_path, [out], env, "--env-file", ENV_FILE)
        lawful(partly)
        assert f"{out / '00001.jsonl.zst.partial'}: is not played" in partly.err
        with recording(venue, out, 2, "--resume") as living:
            assert living.end() == 0
    parts = read_manifest(out).parts
    assert [part.file for part in parts] == ["00000.jsonl.zst", "00001.jsonl.zst", "00002.jsonl.zst"]
    assert unended(out) == []
    done = paper(tmp_path, [out], env, "--env-file", ENV_FILE)
    lawful(done)
    assert "is not played" not in done.err
    assert done.report.frames_in == sum(part.frames for part in parts)
    assert [pair.name for pair in done.report.pairs] == ["BTC", "BTCUSD"]


def test_other_legs_do_not_go_on_with_a_capture(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    out = tmp_path / "recording"
    fewer = {"PAIRS": "BTC=binance:spot:BTCUSDT/binance:usdm:BTCUSDT", "PAIR_CAPITAL_QUOTE": "BTC=20000"}
    command = ("record", "--env-file", ENV_FILE, "--out", out, "--resume")
    with ended(venue):
        with recording(venue, out, 0) as living:
            assert living.end() == 0
        done = basisbot(*command, cwd=tmp_path, env=venue.environ(**fewer))
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"basisbot: {out}: holds a capture of binance ")
    assert done.err.endswith("; name another folder\n")
    assert len(done.err.splitlines()) == 1


def test_a_clock_behind_what_is_recorded_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "recording"
    symbols = ("spot:BTCUSDT", "usdm:BTCUSDT", "coinm:BTCUSD_PERP")
    with CaptureWriter(out, "binance", symbols) as writer:
        writer.write(4_000_000_000_000_000_000, "spot/exchangeInfo", b"{}")
    env = {**SMALL, "BASISBOT_MODE": "paper", "BASISBOT_PAPER_BALANCES": BALANCES}
    done = basisbot("record", "--env-file", ENV_FILE, "--out", out, "--resume", cwd=tmp_path, env=env)
    assert (done.code, done.out) == (4, "")
    assert re.fullmatch(
        rf"basisbot: the clock stands \d+ s before the last frame of {out}: set it.*\n", done.err
    )


def test_a_disk_that_takes_no_more_ends_a_recording_in_order(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    out = tmp_path / "recording"
    with ended(venue), recording(venue, out, 0) as living:
        # room enough for what it says, and none for what it hears
        room = max(1500, *(path.stat().st_size for path in unended(out)))
        resource.prlimit(living.process.pid, resource.RLIMIT_FSIZE, (room, room))
        assert living.process.wait(PATIENCE_S) == 1
    assert f"{out}: File too large; what was recorded until shortly before is whole" in living.said
    assert "Traceback" not in living.said
    assert unended(out) == []
    blocks = CaptureRecording(out).blocks({"spot": 0, "usdm": 1, "coinm": 2})
    assert sum(map(len, blocks)) == read_manifest(out).parts[0].frames > 0
