"""What the wiring refuses before a frame is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.knobs import ConfigError
from bot.progress import Progress
from bot.wiring.paper import PaperOptions, demo_files, run_paper

SILENT = Progress(lambda begin_ns, end_ns: None, lambda at_ns: None)


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("BASISBOT_PAPER_BALANCES", "binance:usdmm:USDT=1", "names the account binance:usdmm; there are"),
        ("BASISBOT_PAPER_BALANCES", "kraken:spot:USDT=1", "names the account kraken:spot; there are"),
        ("BASISBOT_PAPER_FEES_BPS", "spot=10/10,usdmm=2/5", "names the market usdmm; there are spot, usdm"),
    ],
)
def test_money_and_fees_of_a_market_that_does_not_exist_are_refused(
    variable: str, text: str, words: str, tmp_path: Path
) -> None:
    recording, env_file = demo_files()
    options = PaperOptions(
        feeds=(recording,), environ={variable: text}, env_file=env_file, report=tmp_path / "out"
    )
    with pytest.raises(ConfigError, match=f"^{variable} {words}"):
        run_paper(options, SILENT)
    assert not (tmp_path / "out").exists()
