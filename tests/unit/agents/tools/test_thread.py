"""Promises about blocking tools."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from agents.tools.errors import ToolFailed
from agents.tools.thread import MAX_OVERDUE
from agents.tools.tool import tool
from tests.support.call_context import CONTEXT


async def test_sync_functions_run_in_a_thread_with_the_context_variables() -> None:
    """A blocking tool does not block the loop, and logging context reaches it."""
    variable = contextvars.ContextVar("variable", default="unset")
    release = threading.Event()

    @tool
    def blocked() -> list[Any]:
        assert release.wait(10)
        return [threading.current_thread() is threading.main_thread(), variable.get()]

    variable.set("set")
    running = asyncio.create_task(blocked.run({}, CONTEXT))
    await asyncio.sleep(0)  # the loop goes on while the tool waits for what comes next
    release.set()
    assert await running == [False, "set"]


async def test_a_cancelled_sync_tool_neither_holds_the_loop_nor_leaks_an_error() -> None:
    """When the time is up nobody waits for the thread, and its late result goes nowhere."""
    release = threading.Event()
    finished = threading.Event()

    @tool
    def stuck() -> None:
        release.wait(10)
        finished.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stuck.run({}, CONTEXT)
    release.set()
    assert await asyncio.to_thread(finished.wait, 10)
    await asyncio.sleep(0)


async def test_more_sync_tools_than_a_thread_pool_has_run_at_once() -> None:
    """Forty blocking calls meet at one barrier: none waits for a free thread."""
    barrier = threading.Barrier(40, timeout=30)

    @tool
    def meet() -> int:
        return min(barrier.wait(), 0)

    assert await asyncio.gather(*(meet.run({}, CONTEXT) for _ in range(40))) == [0] * 40


async def test_a_tool_whose_calls_do_not_come_back_is_not_run_until_some_do() -> None:
    """A thread cannot be stopped, so those that outlived their time are counted, and there are never more of them."""
    release, left = threading.Event(), threading.Semaphore(0)

    @tool
    def stuck(*, quick: bool) -> bool:
        if not quick:
            release.wait(30)
            left.release()
        return quick

    async def attempt() -> None:
        async with asyncio.timeout(0.05):
            await stuck.run({"quick": False}, CONTEXT)

    ends = await asyncio.gather(*(attempt() for _ in range(MAX_OVERDUE)), return_exceptions=True)
    assert {type(end) for end in ends} == {TimeoutError}
    for _ in range(50):
        with pytest.raises(ToolFailed, match=f"{MAX_OVERDUE} earlier calls") as refused:
            await attempt()
        assert refused.value.failure().retryable
    # Counted by name: threads of earlier tests may end meanwhile.
    assert sum(thread.name.startswith("tool-stuck") for thread in threading.enumerate()) == MAX_OVERDUE

    release.set()
    for _ in range(MAX_OVERDUE):
        assert await asyncio.to_thread(left.acquire, timeout=10)
    async with asyncio.timeout(10):
        while True:  # the threads tell the loop that they are back
            try:
                assert await stuck.run({"quick": True}, CONTEXT)
                break
            except ToolFailed:
                await asyncio.sleep(0)


async def test_another_tools_calls_are_not_counted() -> None:
    """Each tool answers for itself."""
    release = threading.Event()

    @tool
    def stuck() -> None:
        release.wait(30)

    @tool
    def fine() -> str:
        return "fine"

    async def attempt() -> None:
        async with asyncio.timeout(0.05):
            await stuck.run({}, CONTEXT)

    await asyncio.gather(*(attempt() for _ in range(MAX_OVERDUE)), return_exceptions=True)
    assert await fine.run({}, CONTEXT) == "fine"
    release.set()
