"""The supervisor: keeps one process per role running, and lets none outlive it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from structlog.stdlib import get_logger

from streams.child import Child, RoleDidNotStart
from streams.restarts import RestartPauses
from streams.role import SUPERVISED

log = get_logger()


class Supervisor:
    """Starts roles as processes of their own, restarts what dies, and ends them all."""

    def __init__(self, log_dir: Path, environment: Mapping[str, str]) -> None:
        """Name the folder for the logs and what to add to the environment of every role."""
        self._log_dir = log_dir
        # Unbuffered: what a tool prints is in the log when it happens, and not lost with a process that is killed.
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment, SUPERVISED: "1"}
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self, roles: Sequence[str]) -> None:
        """Start one process per role and return when all are ready. Raises `RoleDidNotStart`."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._children = [Child(role, self._log_dir / f"{role}.log") for role in roles]
        await asyncio.gather(*(child.launch(self._environment) for child in self._children))
        self._keepers = [asyncio.create_task(self._keep(child), name=f"keep {child.role}") for child in self._children]

    async def stop(self) -> None:
        """End all processes, in order if they let us (`Child.end`)."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(child.end() for child in self._children))

    def pids(self) -> dict[str, int]:
        """Return the process numbers of the roles that run now."""
        return {child.role: child.process.pid for child in self._children if child.process and child.is_running}

    async def _keep(self, child: Child) -> None:
        """Restart a role whenever it dies, ever slower when it keeps dying."""
        pauses = RestartPauses()
        while True:
            code = await child.wait()
            pause = pauses.next()
            log.warning("a role died and is started again", role=child.role, status=code, seconds=pause)
            await asyncio.sleep(pause)
            try:
                await child.launch(self._environment)
                pauses.up()
            except (RoleDidNotStart, OSError) as error:
                log.warning("a role does not come up", role=child.role, problem=str(error))
                await child.end()
