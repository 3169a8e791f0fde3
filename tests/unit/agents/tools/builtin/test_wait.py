"""Promises of the tool `wait`."""

from __future__ import annotations

import asyncio

import pytest

from agents.tools.builtin.wait import LONGEST_MS, wait
from tests.support.call_context import CONTEXT
from tests.support.virtual_time import run_virtually


@pytest.mark.parametrize("ms", [0, 1, 250, LONGEST_MS])
def test_it_waits_as_long_as_asked(ms: int) -> None:
    """To the millisecond, up to ten minutes."""

    async def timed() -> tuple[object, float]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        return await wait.run({"ms": ms}, CONTEXT), loop.time() - start

    result, seconds = run_virtually(timed())
    assert result == {"waited_ms": ms}
    assert seconds == pytest.approx(ms / 1000)


def test_waits_run_at_the_same_time() -> None:
    """Five waits of half a second take half a second."""

    async def five() -> float:
        await asyncio.gather(*(wait.run({"ms": 500}, CONTEXT) for _ in range(5)))
        return asyncio.get_running_loop().time()

    assert run_virtually(five()) == pytest.approx(0.5)


@pytest.mark.parametrize("ms", [-1, LONGEST_MS + 1, 1.5, "5", None, True])
def test_other_durations_are_refused(ms: object) -> None:
    """Before anything waits."""
    assert wait.check({"ms": ms}) is not None


def test_its_own_time_limit_lets_it_finish() -> None:
    """The limit of an attempt is above the longest wait."""
    assert wait.spec.timeout_ms is not None
    assert wait.spec.timeout_ms > LONGEST_MS
