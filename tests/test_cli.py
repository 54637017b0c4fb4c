"""Options that contradict each other or themselves are refused before anything runs."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from bot.cli import app, parse_ns, parse_range


@pytest.mark.parametrize("until", ["2026-03-02T07:00:00", "2026-03-02T08:00:00+00:00"])
def test_a_range_that_ends_before_it_begins_is_wrong_usage(until: str) -> None:
    arguments = ["paper", "--feed", ".", "--from", "2026-03-02T08:00:00Z", "--until", until]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "--until" in result.output
    assert "is not later than --from" in " ".join(result.output.split())


def test_a_time_that_is_none_names_its_option() -> None:
    with pytest.raises(typer.BadParameter) as caught:
        parse_ns("noon", "--crash-at")
    assert caught.value.param_hint == "--crash-at"


def test_rows_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="ends before it begins"):
        parse_range("5-3")
