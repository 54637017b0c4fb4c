"""The operator's end of the local API: one request, one answer, one sentence when there is none.

It uses the standard library's HTTP client, since a verb that stops a bot must start at once and depend on
little.  What must stay true: the token goes to 127.0.0.1 and nowhere else, and never into a sentence.
"""

from __future__ import annotations

import http.client
import sys
import time
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.table import Table

from bot.shell.dialogue import (
    HOST,
    ORDER_PATH,
    READY_PATH,
    STATE_PATH,
    Access,
    Done,
    Readiness,
    Refusal,
    Wish,
)
from bot.shell.state import PairView, State
from bot.shell.terminal import plain

TIMEOUT_S = 10.0
PAUSE_S = 0.25  # between two questions of who waits
WIDTH = 100  # where nobody says how wide the terminal is
Answer = TypeVar("Answer")
# the unit below the word, so that the book fits 80 columns
_HEADINGS = (
    "basis\nbp", "net\n%", "fund\nbp", "next\nh", "notional", "delta", "margin\nratio", "naked\ns", "age\ns"
)  # fmt: skip


class NotDone(Exception):
    """The run could not be reached, or refused."""

    exit_code = 1


def read_status(access: Access) -> State:
    """The run's snapshot.  Raises `NotDone`."""
    return _ask(access, "GET", STATE_PATH, b"", State)


def read_readiness(port: int) -> Readiness:
    """Whether it is safe to trade, and what stands against it; needs no token.  Raises `NotDone`."""
    return _ask(Access(port, ""), "GET", READY_PATH, b"", Readiness)


def await_readiness(port: int, wait_s: float) -> Readiness:
    """`read_readiness`, asked again until the run is ready or ``wait_s`` are over.  Raises `NotDone`."""
    until_s = time.monotonic() + wait_s
    while True:
        is_over = time.monotonic() >= until_s
        try:
            found = read_readiness(port)
        except NotDone:
            if is_over:
                raise
        else:
            if found.ready or is_over:
                return found
        time.sleep(PAUSE_S)


def give_order(access: Access, verb: str, wish: Wish) -> Done:
    """Give an order (a key of `bot.shell.dialogue.MODES`); it is durable when this returns.

    Raises `NotDone`; after a broken connection the order may have been taken all the same.
    """
    return _ask(access, "POST", ORDER_PATH + verb, msgspec.json.encode(wish), Done)


def _ask(access: Access, method: str, path: str, body: bytes, kind: type[Answer]) -> Answer:
    connection = http.client.HTTPConnection(HOST, access.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {access.token}"})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as failure:
        raise NotDone(
            f"no run answers on port {access.port} of {HOST} ({failure or type(failure).__name__}): "
            "is it running, and is BASISBOT_API_PORT the one it was started with?"
        ) from failure
    finally:
        connection.close()
    try:
        if response.status == 200 or path == READY_PATH:  # not ready is an answer too
            return msgspec.json.decode(answer, type=kind)
        error = msgspec.json.decode(answer, type=Refusal).error
    except msgspec.DecodeError as failure:
        raise NotDone(
            f"what answers on port {access.port} of {HOST} is no run of this version: set BASISBOT_API_PORT"
        ) from failure
    if response.status == 401:
        error = "the run refused the token: set BASISBOT_API_TOKEN to the one it was started with"
    raise NotDone(error)


def print_status(state: State) -> None:
    """The book as a table, a row a pair, and below it what binds, what is open and what was earned."""
    out = Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False
    )

    def say(line: str) -> None:
        out.print(plain(line))

    doing = f"stopping ({state.stopping})" if state.stopping else "ready" if state.ready else "not ready"
    say(f"{state.trades.upper()}  {doing}  mode {state.mode}  run {state.run_id}  row {state.seq}")
    out.print(_book(state))
    for key, alert in state.alerts.items():
        say(f"{alert.severity} for {alert.age_s:.0f} s, {key}: {alert.text}")
    for name, pair in state.pairs.items():
        for hold in pair.holds:
            say(f"{name} held: {' '.join(filter(None, (hold.code, hold.value, hold.limit)))}")
        if pair.mode != "active" and pair.mode_reason:
            say(f"{name} is {pair.mode}: {pair.mode_reason}")
        if pair.residual_base != "0":
            say(f"{name} leaves {pair.residual_base} coins unhedged")
        if pair.idle and not pair.holds:
            say(f"{name}: {' '.join(filter(None, (pair.idle, pair.idle_value, pair.idle_limit)))}")
    for name, order in state.orders.items():
        say(
            f"order {name} {order.state} {order.side} {order.filled_qty}/{order.qty} {order.instrument} "
            f"at {order.price}, {order.age_s:.1f} s {order.reason}"
        )
    for name, account in state.accounts.items():
        for channel, reason in account.lost.items():
            say(f"{name} {channel} is down: {reason}")
        if account.fee_coin:
            lasts = "" if account.fee_coin_left_h is None else f", {account.fee_coin_left_h:.0f} h left"
            say(f"{name} holds {account.fee_coin_balance} {account.fee_coin} to pay fees from{lasts}")
        for difference in account.differences:
            say(f"{name} differs: {difference}")
    money = state.money
    moved = [
        f"{name} {_shown(float(amount), '+,.2f')}"
        for name, amount in money.attribution.items()
        if amount != "0"
    ]
    nav = "not known" if money.nav is None else f"{float(money.nav):,.2f} {money.currency}"
    say(f"NAV {nav}; change from {', '.join(moved) or 'nothing'}")


def _book(state: State) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("pair", "state", "mode"):
        table.add_column(heading, no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, pair in state.pairs.items():
        stale = any(hold.code.startswith(("stale", "gap", "no_book")) for hold in pair.holds)
        table.add_row(plain(name), pair.state, pair.mode, *_numbers(pair), style="dim" if stale else None)
    return table


def _numbers(pair: PairView) -> tuple[str, ...]:
    short = pair.legs["short"]
    rate = _float(short.funding_rate)
    ratios = [float(leg.margin_ratio) for leg in pair.legs.values() if leg.margin_ratio is not None]
    return (
        _shown(pair.basis_bps, ".2f"),
        _shown(None if pair.net_apr is None else pair.net_apr * 100, ".2f"),
        _shown(None if rate is None else rate * 1e4, ".3f"),
        _shown(None if short.funding_in_s is None else max(0.0, short.funding_in_s) / 3600, ".1f"),
        _shown(_float(pair.notional_quote), ",.0f"),
        _shown(_float(pair.delta_quote), ",.1f"),
        _shown(min(ratios, default=None), ".1f"),
        _shown(pair.naked_s or None, ".1f"),
        _shown(pair.basis_age_s, ".1f"),
    )


def _float(number: str | None) -> float | None:
    return None if number is None else float(number)


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
