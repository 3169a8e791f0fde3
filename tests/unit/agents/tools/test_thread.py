"""Promises about blocking tools."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

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
