"""The supervisor: keeps one process per role running, and lets none outlive it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from structlog.stdlib import get_logger

from schemas.errors import OrchestratorError
from streams.role import SUPERVISED

log = get_logger()

READY_SECONDS = 60.0
"""How long a role may take until it is ready."""

END_SECONDS = 6.0
"""How long a role may take to end after SIGTERM before it is killed."""

RESTART_SECONDS = (0.2, 1.0, 5.0)
"""Pauses before the first, second and every later restart of a role that keeps dying."""

LOG_LINES = 15


class RoleDidNotStart(OrchestratorError):
    """The {role} process did not become ready: {problem}.

    The end of its log, {log}:
    {tail}
    """


@dataclass(slots=True)
class Child:
    """One role's process. `log` is where its standard error goes."""

    role: str
    command: Sequence[str]
    log: Path
    process: asyncio.subprocess.Process | None = None


class Supervisor:
    """Starts roles as processes of their own, restarts what dies, and ends them all."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        """Name the folder for the logs and what to add to the environment of every role."""
        self._log_dir = log_dir
        self._environment = {**os.environ, **environment, SUPERVISED: "1"}
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, roles: Sequence[str]) -> None:
        """Start one process per role and return when all are ready. Raises `RoleDidNotStart`."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        for role in roles:
            command = [sys.executable, "-m", "streams.cli", role]
            self._children.append(Child(role, command, self._log_dir / f"{role}.log"))
        await asyncio.gather(*(self._launch(child) for child in self._children))
        self._keepers = [asyncio.create_task(self._keep(child), name=f"keep {child.role}") for child in self._children]

    async def stop(self) -> None:
        """End all processes: SIGTERM, then SIGKILL for those that take longer than `END_SECONDS`."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(self._end(child) for child in self._children))

    def pids(self) -> dict[str, int]:
        """Return the process numbers of the roles that run now."""
        return {
            child.role: child.process.pid
            for child in self._children
            if child.process is not None and child.process.returncode is None
        }

    async def _launch(self, child: Child) -> None:
        with child.log.open("ab") as sink:
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                stdin=asyncio.subprocess.PIPE,  # the lifeline: it ends when this process does, however it ends
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
                env=self._environment,
                # Its own session: Ctrl-C reaches the supervisor alone, which then ends the roles in order.
                start_new_session=True,
            )
        assert child.process.stdout is not None  # noqa: S101 - asked for above
        try:
            async with asyncio.timeout(READY_SECONDS):
                announcement = await child.process.stdout.readline()
        except TimeoutError:
            raise self._failure(child, f"it said nothing for {READY_SECONDS:.0f} s") from None
        if not announcement:
            code = await child.process.wait()
            raise self._failure(child, f"it ended with status {code}")

    async def _keep(self, child: Child) -> None:
        """Restart a role whenever it dies, ever slower when it keeps dying."""
        restarts = 0
        while child.process is not None:
            code = await child.process.wait()
            pause = RESTART_SECONDS[min(restarts, len(RESTART_SECONDS) - 1)]
            log.warning("a role died and is started again", role=child.role, status=code, seconds=pause)
            await asyncio.sleep(pause)
            restarts += 1
            try:
                await self._launch(child)
            except RoleDidNotStart as error:
                log.warning("a role does not come up", role=child.role, problem=str(error))
                await self._end(child)

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("a role did not end in time and is killed", role=child.role)
            process.kill()
            await process.wait()

    def _failure(self, child: Child, problem: str) -> RoleDidNotStart:
        lines = child.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return RoleDidNotStart(role=child.role, problem=problem, log=child.log, tail="\n    ".join(lines))
