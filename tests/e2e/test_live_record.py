"""What is recorded from the servers replays; what a recorder must not do to a disk, it does not."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.living import ENV_FILE, SMALL, Living, Venue, ended
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
        assert again.code == 1
        assert "holds a capture already; name another folder" in again.err
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
