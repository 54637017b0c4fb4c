"""The rate budget: windows, the reserve, the venue's own count, blocks.  All time is an argument."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ratelimit import CONNECTS, SECOND_NS, UNKNOWN_WAIT_NS, Limit, RateBudget

MINUTE_NS = 60 * SECOND_NS
START_NS = 1_700_000_040 * SECOND_NS  # a whole minute
LIMITS = msgspec.json.decode(
    b'[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":100},'
    b'{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":10},'
    b'{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":20},'
    b'{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000}]',
    type=list[Limit],
)


def budget() -> RateBudget:
    one = RateBudget("usdm")
    one.learn(LIMITS)
    return one


def used(one: RateBudget, kind: str, window: str, at_ns: int = START_NS) -> float:
    (found,) = [
        reading.value
        for reading in one.readings(at_ns)
        if reading.name == "rate_used_count"
        and (reading.labels["kind"], reading.labels["window"]) == (kind, window)
    ]
    return found


def test_what_fits_passes_and_what_does_not_waits_for_the_window() -> None:
    one = budget()
    assert one.allow(80, False, START_NS) == 0
    at_ns = START_NS + 15 * SECOND_NS
    assert one.allow(1, False, at_ns) == 45 * SECOND_NS
    assert used(one, "request_weight", "1m") == 80  # nothing was taken
    assert one.allow(80, False, START_NS + MINUTE_NS) == 0


def test_a_share_is_kept_for_what_is_urgent() -> None:
    one = budget()
    assert one.allow(80, False, START_NS) == 0
    assert one.allow(1, False, START_NS) > 0
    assert one.allow(20, True, START_NS) == 0
    assert one.allow(1, True, START_NS) > 0


def test_orders_count_in_every_window_of_theirs_and_by_weight() -> None:
    one = budget()
    for _ in range(8):
        assert one.allow_order(1, False, START_NS) == 0
    assert one.allow_order(1, False, START_NS) == 10 * SECOND_NS
    assert one.allow_order(1, True, START_NS) == 0
    later_ns = START_NS + 10 * SECOND_NS
    passed = 0
    while one.allow_order(1, False, later_ns) == 0:
        passed += 1
    assert passed == 7  # sixteen a minute without the reserve, nine are taken
    assert used(one, "orders", "1m", later_ns) == 16
    assert used(one, "request_weight", "1m", later_ns) == 16


def test_an_order_that_is_refused_takes_no_part_of_its_budgets() -> None:
    one = budget()
    assert one.allow(80, False, START_NS) == 0
    assert one.allow_order(1, False, START_NS) > 0
    assert used(one, "orders", "10s") == 0
    assert one.refused == 1


def test_no_order_passes_before_the_limits_are_known_but_questions_do() -> None:
    one = RateBudget("spot")
    assert one.allow(20, False, START_NS) == 0
    assert one.allow_order(1, True, START_NS) == UNKNOWN_WAIT_NS


def test_the_venue_s_count_is_taken_where_it_is_higher() -> None:
    one = budget()
    one.allow(30, False, START_NS)
    headers = {"x-mbx-used-weight-1m": "70", "x-mbx-order-count-10s": "9", "x-mbx-order-count-1d": "500"}
    assert one.saw_reply(200, headers, START_NS) is None
    assert used(one, "request_weight", "1m") == 70
    assert used(one, "orders", "10s") == 9
    one.saw_reply(200, {"x-mbx-used-weight-1m": "10", "x-mbx-order-count-10s": "-1"}, START_NS)
    assert used(one, "request_weight", "1m") == 70
    one.saw_reply(200, {"x-mbx-used-weight-1m": "1"}, START_NS + MINUTE_NS)
    assert used(one, "request_weight", "1m", START_NS + MINUTE_NS) == 1


def test_a_websocket_answer_tells_the_usage_too() -> None:
    one = budget()
    one.saw_limits(
        [
            Limit("REQUEST_WEIGHT", "MINUTE", 1, 100, 42),
            Limit("ORDERS", "SECOND", 10, 10, 3),
            Limit("ORDERS", "FORTNIGHT", 1, 10, 3),
            Limit("ORDERS", "MINUTE", 1, 10),
        ],
        START_NS,
    )
    assert used(one, "request_weight", "1m") == 42
    assert used(one, "orders", "10s") == 3
    assert used(one, "orders", "1m") == 0


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "7"}, 7),
        (418, {"retry-after": "300"}, 300),
        (429, {}, 60),
        (418, {"retry-after": "soon"}, 120),
    ],
)
def test_a_venue_that_has_enough_is_left_alone(status: int, headers: dict[str, str], seconds: int) -> None:
    one = budget()
    until_ns = START_NS + seconds * SECOND_NS
    assert one.saw_reply(status, headers, START_NS) == until_ns
    assert one.allow(1, True, START_NS) == seconds * SECOND_NS
    assert one.allow_order(1, True, START_NS) == seconds * SECOND_NS
    assert one.allow_connect(START_NS) == seconds * SECOND_NS
    assert one.allow(1, True, until_ns) == 0


@pytest.mark.parametrize(
    ("window", "count", "wait_s"), [("10s", "10", 10), ("10s", "3", 10), ("10s", "", 10), ("1m", "20", 60)]
)
def test_too_many_orders_stop_orders_alone(window: str, count: str, wait_s: int) -> None:
    """Cancels and questions are answered as before, and exits when the window that is full is over."""
    one = budget()
    headers = {f"x-mbx-order-count-{window}": count}
    assert one.saw_reply(429, headers, START_NS, is_of_orders=True) is None
    assert one.allow(1, False, START_NS) == 0
    assert one.allow_order(1, True, START_NS) == wait_s * SECOND_NS
    assert one.allow_order(1, True, START_NS + wait_s * SECOND_NS) == 0


def test_a_shorter_block_does_not_end_a_longer_one() -> None:
    one = budget()
    one.block(START_NS + MINUTE_NS)
    assert one.saw_reply(429, {"retry-after": "1"}, START_NS) == START_NS + MINUTE_NS


def test_connection_attempts_are_counted_without_exchange_info() -> None:
    one = RateBudget("spot")
    passed = 0
    while one.allow_connect(START_NS) == 0:
        passed += 1
    assert passed == CONNECTS.limit


def test_new_limits_keep_what_was_used() -> None:
    one = budget()
    one.allow(50, False, START_NS)
    one.learn([msgspec.structs.replace(LIMITS[0], limit=60), Limit("ORDERS", "CENTURY", 1, 5)])
    assert one.allow(10, True, START_NS) == 0
    assert one.allow(1, True, START_NS) > 0
    assert one.allow_order(1, True, START_NS) == UNKNOWN_WAIT_NS  # none it can count in is left


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5 * SECOND_NS),
            st.sampled_from(["weight", "order"]),
            st.integers(1, 30),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_no_window_is_ever_overdrawn(asked: list[tuple[int, str, int, bool]]) -> None:
    one = budget()
    at_ns = START_NS
    weight: dict[int, int] = {}
    orders: dict[int, int] = {}
    for pause_ns, what, amount, urgent in asked:
        at_ns += pause_ns
        if what == "weight":
            if one.allow(amount, urgent, at_ns) == 0:
                weight[at_ns // MINUTE_NS] = weight.get(at_ns // MINUTE_NS, 0) + amount
        elif one.allow_order(1, urgent, at_ns) == 0:
            weight[at_ns // MINUTE_NS] = weight.get(at_ns // MINUTE_NS, 0) + 1
            orders[at_ns // (10 * SECOND_NS)] = orders.get(at_ns // (10 * SECOND_NS), 0) + 1
    assert all(taken <= 100 for taken in weight.values())
    assert all(taken <= 10 for taken in orders.values())


@pytest.mark.parametrize(
    "stated", ["9" * 12, "9" * 5000, "31536000", "259201", "-1", "soon", "Tue, 14 Nov 2028 22:14:00 GMT"]
)
def test_a_silence_that_no_ban_lasts_is_drift_and_the_usual_one_is_kept(stated: str) -> None:
    one = budget()
    drifts: list[str] = []
    one.on_drift = drifts.append
    assert one.saw_reply(418, {"retry-after": stated}, START_NS) == START_NS + 120 * SECOND_NS
    (reason,) = drifts
    assert reason.startswith("Retry-After")
    assert reason.endswith("120 s are kept")
    assert len(reason) < 120


@pytest.mark.parametrize(
    ("stated", "seconds"), [("259200", 259_200), ("Tue, 14 Nov 2023 22:14:30 GMT", 30), ("0", 0), ("", 120)]
)
def test_a_silence_up_to_three_days_is_kept_by_seconds_or_by_date(stated: str, seconds: int) -> None:
    one = budget()
    drifts: list[str] = []
    one.on_drift = drifts.append
    assert one.saw_reply(418, {"retry-after": stated}, START_NS) == START_NS + seconds * SECOND_NS
    assert drifts == []


@pytest.mark.parametrize("count", ["9" * 5000, "9" * 13, "-1", "some", ""])
def test_a_count_that_is_none_leaves_ours(count: str) -> None:
    one = budget()
    drifts: list[str] = []
    one.on_drift = drifts.append
    one.allow(30, False, START_NS)
    one.saw_reply(200, {"x-mbx-used-weight-1m": count}, START_NS)
    assert used(one, "request_weight", "1m") == 30
    assert drifts == ["x-mbx-used-weight-1m is no count; ours stands"]


@pytest.mark.parametrize(
    "limit",
    [
        Limit("ORDERS", "SECOND", 0, 10), Limit("ORDERS", "SECOND", -1, 10),
        Limit("ORDERS", "SECOND", 10**9, 10),
        Limit("ORDERS", "SECOND", 10, -1), Limit("ORDERS", "SECOND", 10, 10**400),
        Limit("ORDERS", "SECOND", 10, 10, 10**400), Limit("ORDERS", "SECOND", 10, 10, -1),
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_one_is_left_out(limit: Limit) -> None:
    one = RateBudget("usdm")
    drifts: list[str] = []
    one.on_drift = drifts.append
    one.learn([limit])
    assert one.allow_order(1, True, START_NS) == UNKNOWN_WAIT_NS, "its limits are not known"
    one.learn(LIMITS)
    one.saw_limits([limit], START_NS)
    assert len(drifts) == 2
    assert all(float(reading.value) < 10**6 for reading in one.readings(START_NS))
