"""Promises of blocking work that nothing has to wait for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from streams.kafka.daemon_thread import in_daemon_thread

ABANDONED = """
import asyncio, threading, time
from streams.kafka import daemon_thread
daemon_thread.GRACE_SECONDS = 0.1

async def main():
    began = asyncio.Event()
    loop = asyncio.get_running_loop()
    def work(cancelled):
        loop.call_soon_threadsafe(began.set)
        time.sleep(3600)
    task = asyncio.create_task(daemon_thread.in_daemon_thread(work))
    await began.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
print("over")
"""


async def test_its_result_and_its_error_are_those_of_the_work() -> None:
    """As if it had been awaited."""
    assert await in_daemon_thread(lambda _: 42) == 42

    def fail(_: threading.Event) -> None:
        raise OSError("no space")  # noqa: EM101, TRY003 - a stand-in

    with pytest.raises(OSError, match="no space"):
        await in_daemon_thread(fail)


async def test_cancelled_work_is_told_so_and_awaited_for_a_moment() -> None:
    """So that it can put away what it has begun, and say nothing afterwards."""
    loop, began, tidied = asyncio.get_running_loop(), asyncio.Event(), []

    def work(cancelled: threading.Event) -> None:
        loop.call_soon_threadsafe(began.set)
        tidied.append(cancelled.wait(20))

    task = asyncio.create_task(in_daemon_thread(work))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tidied == [True]


def test_work_that_does_not_listen_holds_up_neither_the_loop_nor_the_exit() -> None:
    """A download may hang for minutes."""
    ended = subprocess.run([sys.executable, "-c", ABANDONED], capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "over\n", "")
