"""What the compose file promises of every profile, read as text: nothing of the project needs YAML."""

from __future__ import annotations

import re

import pytest

from bot.knobs import PREFIX, knobs
from tests.architecture.source import ROOT

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SHARED, _, SERVICES = COMPOSE.partition("\nservices:\n")
BLOCKS = dict(
    re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", SERVICES.partition("\nsecrets:\n")[0], re.MULTILINE)
)
PROFILES = ("paper", "testnet", "live")


def test_what_starts_by_default_is_the_rehearsal_and_every_other_mode_a_profile() -> None:
    assert set(BLOCKS) == {"basisbot", *PROFILES}
    assert "profiles:" not in BLOCKS["basisbot"]
    assert '"rehearse"' in BLOCKS["basisbot"]
    for name in PROFILES:
        assert f"profiles: [{name}]" in BLOCKS[name]
        assert f"BASISBOT_MODE: {name}" in BLOCKS[name]


@pytest.mark.parametrize("name", list(BLOCKS))
def test_every_service_is_confined_and_stays_down_when_refused(name: str) -> None:
    assert "<<: *service" in BLOCKS[name]
    assert "--stay-down" in BLOCKS[name]
    for promise in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert promise in SHARED
        assert promise.split(":")[0] not in BLOCKS[name], "nothing takes a promise back"


def test_it_is_healthy_when_it_is_ready() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    command = '"basisbot", "health", "--ready"'
    assert command in SHARED
    assert command in dockerfile.replace("\\\n", "")


def test_a_stop_has_more_time_than_the_run_takes_for_it() -> None:
    period = re.search(r"stop_grace_period: (\d+)s", SHARED)
    grace_s = next(knob.default for knob in knobs() if knob.variable == f"{PREFIX}STOP_GRACE_S")
    assert period is not None
    assert int(period[1]) > float(grace_s)


def test_credentials_are_files() -> None:
    secret = {knob.variable for knob in knobs() if knob.secret}
    assert len(secret) >= 3
    assert [name for name in secret if re.search(rf"\b{name}\s*[:=]", COMPOSE)] == []
    for name in ("binance_key", "binance_secret", "api_token"):
        assert f"BASISBOT_{name.upper()}_FILE: /run/secrets/{name}" in COMPOSE
