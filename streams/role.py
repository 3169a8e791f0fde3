"""A role as a process: start, say that it is ready, work until told to stop or until it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Iterator
from typing import Protocol

from structlog.stdlib import get_logger

log = get_logger()

SUPERVISED = "ORCHESTRATOR_SUPERVISED"
"""Set by the supervisor for its children: standard input ends when the supervisor does, and the child then stops."""

STOP_MARGIN_SECONDS = 2.5
"""How much longer than its drain time a role may take to stop before its process ends all the same."""


class StopAsked(asyncio.Event):
    """Set when this process is asked to stop."""

    number: signal.Signals | None = None
    """The signal that asked first; None when it was the end of the supervisor."""

    def by(self, number: signal.Signals) -> None:
        """Note a signal."""
        if not self.is_set():
            self.number = number
        self.set()

    @property
    def status(self) -> int:
        """Exit status of a command that was interrupted: 130 for Ctrl-C, as shells have it."""
        return 1 if self.number is None else 128 + self.number


class Role(Protocol):
    """What all roles have in common."""

    ready: asyncio.Event

    async def start(self) -> None:
        """Connect and begin to work."""
        ...

    async def wait(self) -> None:
        """Wait until the role fails; raises what it failed of."""
        ...

    async def stop(self) -> None:
        """Finish what is begun and disconnect."""
        ...


def announcement_of(name: str) -> str:
    """Return the words by which a role tells on standard output that it is ready; more may follow on that line."""
    return f"{name} is ready"


async def run_role(role: Role, announcement: str, drain_seconds: float) -> None:
    """Run `role` until SIGTERM or SIGINT. Prints `announcement` on standard output once it is ready."""
    with stop_signals() as asked:
        stop = asyncio.create_task(asked.wait(), name="stop asked")
        try:
            await first_of(stop, role.start())
            ready = asyncio.create_task(_announce(role, announcement), name="announce")
            try:
                await first_of(stop, role.wait())
            finally:
                ready.cancel()
        finally:
            stop.cancel()
            log.info("stopping")
            await _stop(role, drain_seconds + STOP_MARGIN_SECONDS)
            log.info("stopped")


@contextlib.contextmanager
def stop_signals() -> Iterator[StopAsked]:
    """Provide an event that is set by SIGTERM, by SIGINT, or when the supervisor of this process is gone."""
    loop = asyncio.get_running_loop()
    asked = StopAsked()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.by, number)
    supervised = os.environ.get(SUPERVISED) == "1"
    if supervised:
        loop.add_reader(sys.stdin.fileno(), asked.set)
    try:
        yield asked
    finally:
        if supervised:
            loop.remove_reader(sys.stdin.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def first_of(stop: asyncio.Task[bool], work: Awaitable[object]) -> bool:
    """Wait for `work` or for `stop`, whichever is first; `work` is cancelled by `stop`. Returns whether it was done."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({stop, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        task.result()
        return True
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _announce(role: Role, announcement: str) -> None:
    await role.ready.wait()
    sys.stdout.write(announcement + "\n")
    sys.stdout.flush()


async def _stop(role: Role, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await role.stop()
    except TimeoutError:
        log.warning("did not stop in time: what is unfinished is left to the next owner", seconds=seconds)
