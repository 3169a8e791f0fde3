"""Promises of a role as a process: ready, stopped by a signal, ended by its own failure, never stuck at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import pytest

import streams.role
from streams.role import SUPERVISED, first_of, run_role

Step = Callable[[], None]


class Work:
    """A role that does as it is told, and tells what was done to it."""

    def __init__(self, *, slow_start: bool = False, slow_stop: bool = False) -> None:
        """Say where it hangs."""
        self.ready = asyncio.Event()
        self.steps: list[str] = []
        self.begun = asyncio.Event()
        self.fault: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._slow_start, self._slow_stop = slow_start, slow_stop

    async def start(self) -> None:
        """Connect."""
        self.steps.append("start")
        if self._slow_start:
            self.begun.set()
            await asyncio.Event().wait()
        self.ready.set()

    async def wait(self) -> None:
        """Work until told to fail."""
        self.steps.append("wait")
        self.begun.set()
        await self.fault

    async def stop(self) -> None:
        """Disconnect."""
        self.steps.append("stop")
        if self._slow_stop:
            await asyncio.Event().wait()
        self.steps.append("stopped")


async def run_until_begun(work: Work) -> asyncio.Task[None]:
    """Run a role up to where it works."""
    task = asyncio.create_task(run_role(work, "work is ready", 0))
    await work.begun.wait()
    return task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_a_role_in_order(number: signal.Signals) -> None:
    """Kubernetes and Ctrl-C both end a role with nothing left half done."""
    work = Work()
    task = await run_until_begun(work)
    os.kill(os.getpid(), number)
    async with asyncio.timeout(10):
        await task
    assert work.steps == ["start", "wait", "stop", "stopped"]


async def test_a_role_can_be_stopped_while_it_starts() -> None:
    """A broker that does not answer must not make it deaf."""
    work = Work(slow_start=True)
    task = await run_until_begun(work)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        await task
    assert work.steps[0] == "start"
    assert work.steps[-2:] == ["stop", "stopped"]


async def test_a_role_that_fails_is_stopped_and_raises_its_fault() -> None:
    """The process ends with a status that says so, and whoever supervises it starts it again."""
    work = Work()
    task = await run_until_begun(work)
    work.fault.set_exception(OSError("the broker is gone"))
    with pytest.raises(OSError, match="the broker is gone"):
        await task
    assert work.steps[-1] == "stopped"


async def test_a_role_that_cannot_start_raises_and_disconnects() -> None:
    """Nothing that was opened stays open."""

    class Broken(Work):
        async def start(self) -> None:
            raise OSError("no broker")  # noqa: EM101, TRY003 - a stand-in

    work = Broken()
    with pytest.raises(OSError, match="no broker"):
        await run_role(work, "never", 0)
    assert work.steps == ["stop", "stopped"]


async def test_a_role_announces_that_it_is_ready_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    """The supervisor, and a person, wait for this line."""
    work = Work()
    task = await run_until_begun(work)
    work.fault.set_result(None)
    await task
    assert "work is ready" in capsys.readouterr().out.splitlines()
    slow = Work(slow_start=True)
    task = await run_until_begun(slow)
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert "work is ready" not in capsys.readouterr().out


async def test_a_role_that_does_not_stop_is_left_alone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is unfinished goes to the next owner; the process must not hang for ever."""
    monkeypatch.setattr(streams.role, "STOP_MARGIN_SECONDS", 0.01)
    work = Work(slow_stop=True)
    task = await run_until_begun(work)
    work.fault.set_result(None)
    async with asyncio.timeout(10):
        await task
    assert work.steps[-1] == "stop"


async def test_a_supervised_role_stops_when_its_supervisor_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """However the supervisor ends, its standard input ends with it."""
    reading, writing = os.pipe()
    monkeypatch.setenv(SUPERVISED, "1")
    with os.fdopen(reading) as lifeline:
        monkeypatch.setattr(sys, "stdin", lifeline)
        work = Work()
        task = await run_until_begun(work)
        os.close(writing)
        async with asyncio.timeout(10):
            await task
    assert work.steps[-1] == "stopped"


async def test_the_first_of_stop_and_work_wins() -> None:
    """Work that is done is done; work that is stopped is cancelled, and has ended before anything goes on."""
    never = asyncio.create_task(asyncio.Event().wait())
    assert await first_of(never, asyncio.sleep(0)) is True
    never.cancel()

    ended = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    asked = asyncio.Event()
    stop = asyncio.create_task(asked.wait())
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, asked.set)
    assert await first_of(stop, long()) is False
    assert ended == [True]
