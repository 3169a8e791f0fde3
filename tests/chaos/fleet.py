"""The fleet: several processes of each role, each started again whenever it ends, by whatever cause."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streams.role import announcement_of
from tests.support.role_process import ROOT

READY_SECONDS = 60.0
RESTART_SECONDS = (0.2, 2.0)
END_SECONDS = 15.0
SHOWN_CHARACTERS = 1500


@dataclass(slots=True, eq=False)
class Member:
    """One place in the fleet, whatever process fills it now."""

    role: str
    number: int
    log: Path
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    frozen: bool = False
    expected: bool = False
    """Whether this process was sent a signal that ends it."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.role}-{self.number}"

    @property
    def is_up(self) -> bool:
        """Whether it works, as far as one can tell."""
        alive = self.process is not None and self.process.returncode is None
        return alive and self.ready.is_set() and not self.frozen and not self.expected

    def send(self, number: signal.Signals) -> None:
        """Send a signal to a process that may have ended."""
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)


class Fleet:
    """Keeps its members running until it is stopped."""

    def __init__(self, environment: Mapping[str, str], sizes: Mapping[str, int], logs: Path, seed: int) -> None:
        """Take the environment of all, how many of each role, a folder for their logs and what decides the pauses."""
        self.members = [
            Member(role, number, logs / f"{role}-{number}.log")
            for role, count in sizes.items()
            for number in range(1, count + 1)
        ]
        self.deaths: list[str] = []
        """Ends that nobody asked for."""
        self._environment = dict(environment)
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all and wait until they are ready."""
        self._keepers = [asyncio.create_task(self._keep(member), name=member.name) for member in self.members]
        await self.all_ready()

    async def all_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until every member is ready."""
        async with asyncio.timeout(seconds):
            for member in self.members:
                await member.ready.wait()

    async def stop(self) -> None:
        """End all in order; kill what does not end."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for member in self.members:
            member.send(signal.SIGCONT)
            member.send(signal.SIGTERM)
        await asyncio.gather(*(self._end(member) for member in self.members))

    def spares(self) -> Sequence[Member]:
        """List the members that can be spared: another of their role is up."""
        up = [member for member in self.members if member.is_up]
        return [member for member in up if sum(other.role == member.role for other in up) > 1]

    async def freeze(self, member: Member, seconds: float) -> None:
        """Stop a process in its tracks, and let it go on when its session is long over."""
        member.frozen = True
        member.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            member.send(signal.SIGCONT)
            member.frozen = False

    async def _keep(self, member: Member) -> None:
        while True:
            await self._launch(member)
            assert member.process is not None
            status = await member.process.wait()
            member.ready.clear()
            if not member.expected:
                tail = member.log.read_text()[-SHOWN_CHARACTERS:]
                self.deaths.append(f"{time.strftime('%H:%M:%S')} {member.name} ended with {status}: {tail}")
            await asyncio.sleep(self._random.uniform(*RESTART_SECONDS))

    async def _launch(self, member: Member) -> None:
        member.expected = False
        with member.log.open("ab") as log:
            member.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "streams.cli",
                member.role,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        assert member.process.stdout is not None
        async for line in member.process.stdout:
            if announcement_of(member.role) in line.decode():
                member.ready.set()
                return

    async def _end(self, member: Member) -> None:
        if member.process is None:
            return
        try:
            async with asyncio.timeout(END_SECONDS):
                await member.process.wait()
        except TimeoutError:
            self.deaths.append(f"{member.name} did not end within {END_SECONDS} s of SIGTERM")
            member.send(signal.SIGKILL)
            await member.process.wait()
