"""Virtual time: order, exactness, and an end to every run."""

from __future__ import annotations

import asyncio

import pytest

from tests.virtual.loop import Endless, Stalled, VirtualLoop, run_virtual


def test_an_hour_costs_a_few_steps_and_keeps_its_order() -> None:
    seen: list[tuple[str, float]] = []

    async def sleeper(name: str, pause_s: float, times: int) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for _ in range(times):
            await asyncio.sleep(pause_s)
            seen.append((name, round(loop.time() - begun_s, 9)))

    async def main() -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("a", 1200.0, 3))
            group.create_task(sleeper("b", 1800.0, 1))
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop.steps

    assert run_virtual(main()) < 30
    assert seen == [("a", 1200.0), ("b", 1800.0), ("a", 2400.0), ("a", 3600.0)]


def test_a_timeout_is_virtual_too() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        return loop.time() - begun_s

    assert run_virtual(main()) == pytest.approx(30.0)


def test_a_run_that_nothing_will_wake_raises() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stalled, match=r"1000\.000 s"):
        run_virtual(main())


def test_a_run_that_never_ends_raises() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Endless, match="500 steps"):
        run_virtual(main(), steps_max=500)


def test_what_would_run_in_a_thread_runs_at_once() -> None:
    async def main() -> tuple[int, bool]:
        with pytest.raises(OSError, match="full"):
            await asyncio.to_thread(fail)
        return await asyncio.to_thread(sum, (1, 2)), True

    def fail() -> None:
        raise OSError("full")

    assert run_virtual(main()) == (3, True)
