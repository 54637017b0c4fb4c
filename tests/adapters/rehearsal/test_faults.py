"""Scripts of faults: what text means, what is refused, and that a seed is a script."""

from __future__ import annotations

import pytest

from adapters.rehearsal.faults import FAULTS, Fault, FaultError, Part, described, fault, parse, seeded


def test_a_script_is_in_order_of_time_and_by_the_tables_defaults() -> None:
    assert parse("at=9s adl; at=5.5 disconnect usdm.private for=3s ;") == (
        Fault("disconnect", 5.5, 3.0, "usdm", (Part.PRIVATE,), 0.0),
        Fault("adl", 9.0, 0.0, "*", tuple(Part), FAULTS["adl"].value),
    )
    assert parse("at=0 reject spot by=-1013")[0].value == -1013
    assert parse("at=0 skew by=-3; at=1 balance by=-25")[1].value == -25
    assert parse("") == ()


@pytest.mark.parametrize("name", FAULTS)
def test_every_switch_can_be_said_and_is_described(name: str) -> None:
    (one,) = parse(f"at=1s {name}")
    assert one == fault(name, 1.0)
    assert f"\n{name} " in "\n" + described()
    for part in Part:
        assert one.hits("coinm", part) == (part in FAULTS[name].parts)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("at=5s disconect", "'disconect' is not known; there are drop, "),
        ("disconnect", "say at=SECONDS NAME"),
        ("at=5s", "say at=SECONDS NAME"),
        ("at=5s adl usdm now", "say at=SECONDS NAME"),
        ("at=five adl", "'five' is not a number"),
        ("at=-1s adl", "before the start"),
        ("at=1s adl by=nan", "'nan' is not a number"),
        ("at=10s delay by=-3", "by=-3 is below zero, which delay cannot be"),
        ("at=1s partials by=-0.5", "below zero"),
        ("at=1s adl until=9", "until= is not known"),
        ("at=1s drop margin", "market 'margin' is not one of spot, usdm, coinm or *"),
        ("at=1s reject usdm.market", "part 'market' is not one of orders"),
        ("seed=x", "seed= is not known"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(FaultError) as refusal:
        parse(text)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_seed_is_a_script() -> None:
    assert parse("seed=7") == seeded(7) == seeded(7)
    assert seeded(7) != seeded(8)
    drawn = {one.name for number in range(20) for one in seeded(number)}
    assert drawn == set(FAULTS) - {"reset"}
    assert all(one.at_s <= 600 for one in seeded(3))
    assert parse("seed=7 for=300s") == tuple(one for one in seeded(7) if one.at_s < 300)
