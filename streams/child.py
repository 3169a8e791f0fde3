"""A child: one role's process, what it prints, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from structlog.stdlib import get_logger

from schemas.errors import OrchestratorError
from streams.role import announcement_of

log = get_logger()

READY_SECONDS = 60.0
"""How long a role may take until it is ready."""

END_SECONDS = 6.5
"""How long a role may take to end after SIGTERM before it is killed. More than a role under `orchestrator dev` needs
(its drain time and `STOP_MARGIN_SECONDS`): one that is killed stays in its group until the session times out, and the
next start waits for that."""

LAST_WORDS_SECONDS = 1.0
"""How long the output of a child that has ended may stay open: something it started may have inherited it."""

LOG_LINES = 15
_CHUNK_BYTES = 64 * 1024


class RoleDidNotStart(OrchestratorError):
    """The {role} process did not become ready: {problem}.

    The end of its log, {log}:
    {tail}
    """


class Child:
    """One role's process. Whatever it prints goes to its log; one line of it says that the role is ready."""

    def __init__(self, role: str, log_file: Path) -> None:
        """Name the role and its log; `launch` starts the process."""
        self.role = role
        self.process: asyncio.subprocess.Process | None = None
        self._log_file = log_file
        self._output: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.returncode is None

    async def launch(self, environment: Mapping[str, str]) -> None:
        """Start the process and return when the role is ready. Raises `RoleDidNotStart`."""
        process = await self._spawn(environment)
        announced: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._output = asyncio.create_task(self._follow(process, announced), name=f"output of {self.role}")
        ended = asyncio.create_task(process.wait(), name=f"end of {self.role}")
        try:
            either: set[asyncio.Future[Any]] = {announced, ended}
            await asyncio.wait(either, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await self._last_words()
                self._fail(f"it ended with status {ended.result()}")
            if not announced.done():
                self._fail(f"it was not ready after {READY_SECONDS:.0f} s")
        finally:
            ended.cancel()

    async def wait(self) -> int:
        """Return the exit status of the process when it has ended."""
        assert self.process is not None  # noqa: S101 - who waits has launched it
        return await self.process.wait()

    async def end(self) -> None:
        """End the process: SIGTERM, then SIGKILL when it takes longer than `END_SECONDS`."""
        process = self.process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
            except TimeoutError:
                log.warning("a role did not end in time and is killed", role=self.role)
                process.kill()
                await process.wait()
        await self._last_words()
        if process is not None:
            # There is no public way to let go of a pipe that something the child started still holds.
            process._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - see above

    async def _spawn(self, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
        with self._log_file.open("ab") as sink:
            spawning = asyncio.ensure_future(
                asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "streams.cli",
                    self.role,
                    stdin=asyncio.subprocess.PIPE,  # the lifeline: it ends when this process does, however it ends
                    stdout=asyncio.subprocess.PIPE,
                    stderr=sink,
                    env=environment,
                    # Its own session: Ctrl-C reaches the supervisor alone, which then ends the roles in order.
                    start_new_session=True,
                )
            )
            try:
                self.process = await asyncio.shield(spawning)
            except asyncio.CancelledError:
                self.process = await spawning  # it is there: whoever interrupts the start must be able to end it
                raise
        return self.process

    async def _follow(self, process: asyncio.subprocess.Process, announced: asyncio.Future[None]) -> None:
        """Copy what the process prints to its log until it prints no more, and look for the announcement.

        A pipe that nobody empties holds 64 KiB; whoever prints more stands still, and a tool may print anything.
        """
        assert process.stdout is not None  # noqa: S101 - asked for when it was started
        sign, end = announcement_of(self.role).encode(), b""
        with self._log_file.open("ab", buffering=0) as sink:
            while chunk := await process.stdout.read(_CHUNK_BYTES):
                with contextlib.suppress(OSError):  # a full disk must not stop the role as well
                    sink.write(chunk)
                if not announced.done():
                    if sign in end + chunk:
                        announced.set_result(None)
                    end = (end + chunk)[-len(sign) :]

    async def _last_words(self) -> None:
        if self._output is not None:
            await asyncio.wait({self._output}, timeout=LAST_WORDS_SECONDS)
            self._output.cancel()

    def _fail(self, problem: str) -> NoReturn:
        lines = self._log_file.read_text(errors="replace").splitlines()[-LOG_LINES:]
        raise RoleDidNotStart(role=self.role, problem=problem, log=self._log_file, tail="\n    ".join(lines))
