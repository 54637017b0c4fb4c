"""What is journaled reads back as it was, and equal stores have equal hashes."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from bot.model.commands import EntryGap, NoteIdle, PlaceOrder, TimeInForce
from bot.model.entry import decode_entry, encode_items
from bot.model.facts import AccountReported, BookSeen, FundingPaid, PositionHeld, Tick
from bot.model.ids import AccountId, ClientId, InstrumentId, PairName
from bot.model.instrument import Side
from bot.model.ledger import Attribution
from bot.model.pair import Mode, PairSpec, PairState, Purpose, Role
from bot.model.store import Leg, Pair, Store, decode_store, encode_store, state_sha256

D = Decimal
PERP = InstrumentId("binance:usdm:BTCUSDT")

FACTS = (
    BookSeen(PERP, ((60000.1, 0.5),), ((60000.2, 1.25),), None, 1_700_000_000_000_000_001),
    Tick({PERP: 5}, {AccountId("binance:usdm"): -7}),
    FundingPaid(PERP, "USDT", D("-0.00000001"), D("0.0001"), D("60000.1"), D("-1.5"), "f1", 9),
    AccountReported(AccountId("binance:usdm"), {"USDT": D("1E+2")}, (PositionHeld(PERP, D(1), D(2)),), (), 3),
)
ORDER = PlaceOrder(
    ClientId("bsbt0000000a1"), PairName("BTC"), Role.SHORT, PERP, Side.SELL, D("0.1"), D("59990.0"),
    TimeInForce.IOC, False, Purpose.ENTER, D("60000.15"), EntryGap(-1.0, -2.0, 24.0),
)  # fmt: skip


def test_an_entry_reads_back() -> None:
    commands = (ORDER, NoteIdle(PairName("BTC"), "in_flight"))
    entry = decode_entry(4, 99, encode_items(FACTS), encode_items(commands))
    assert (entry.facts, entry.commands) == (FACTS, commands)
    assert encode_items(entry.facts) == encode_items(FACTS)


def test_decimals_keep_every_digit() -> None:
    value = D("123456789012345678901234567890.12345678901234567890")
    fact = FundingPaid(PERP, "USDT", value, D(0), D(0), D(0), "f", 0)
    assert decode_entry(1, 1, encode_items((fact,)), b"[]").facts == (fact,)


def test_a_field_that_a_later_version_added_may_be_missing() -> None:
    entry = decode_entry(1, 1, b"[]", b'[["NoteIdle","BTC","in_flight"]]')
    assert entry.commands == (NoteIdle(PairName("BTC"), "in_flight", "", ""),)


@pytest.mark.parametrize("rotten", [b"", b"[", b'[["NoSuchFact",1]]', b'[["FeedEnded"]]', b'{"a":1}'])
def test_bytes_that_are_no_entry_are_refused(rotten: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_entry(1, 1, rotten, b"[]")


def test_a_store_reads_back_and_hashes_by_value() -> None:
    spec = PairSpec(PairName("BTC"), InstrumentId("binance:spot:BTCUSDT"), PERP, D(1000))
    store = Store(run_id="x")
    store.pairs[spec.name] = Pair(spec, Leg(Role.LONG, spec.long), Leg(Role.SHORT, spec.short))
    again = decode_store(encode_store(store))
    assert again == store
    assert state_sha256(again) == state_sha256(store)
    again.pairs[spec.name].state = PairState.HEDGED
    assert state_sha256(again) != state_sha256(store)


def test_the_attribution_total_counts_every_bucket() -> None:
    buckets = Attribution(*(D(2) ** n for n in range(len(Attribution.__struct_fields__))))
    assert buckets.total() == D(2) ** len(Attribution.__struct_fields__) - 1


def test_words_that_tables_are_written_in() -> None:
    assert [mode.rank for mode in Mode] == list(range(5))
    assert Role.LONG.other is Role.SHORT
    assert Role.SHORT.other is Role.LONG
    assert (Role.LONG.opening_side, Role.SHORT.opening_side) == (Side.BUY, Side.SELL)
    spec = PairSpec(PairName("P"), InstrumentId("a:b:L"), InstrumentId("a:b:S"), D(1))
    assert (spec.instrument(Role.LONG), spec.instrument(Role.SHORT)) == ("a:b:L", "a:b:S")
    pair = Pair(spec, Leg(Role.LONG, spec.long), Leg(Role.SHORT, spec.short))
    assert pair.leg(Role.SHORT) is pair.legs[1]
