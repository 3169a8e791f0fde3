"""A Java process that ends with its owner and whose end can be awaited from any event loop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from streams.kafka.lifeline import Lifeline


class JavaProcess:
    """One running java. Not tied to an event loop: a test may start it in one loop and end it in another."""

    def __init__(self, command: Sequence[str], *, cwd: Path, output: Path, keep: Sequence[int] = ()) -> None:
        """Start it at once.

        `output` receives what it prints (stdout and stderr, the file is emptied first); `keep` are file descriptors it
        inherits. It has a session of its own, so that Ctrl-C in a terminal reaches only the owner, which then ends it
        in order.
        """
        lifeline = Lifeline()
        try:
            with output.open("wb") as sink:
                self._process = subprocess.Popen(  # noqa: S603 - the command is built here, from our own parts
                    command,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    pass_fds=tuple(keep),
                    start_new_session=True,
                )
        except BaseException:
            lifeline.release()
            raise
        lifeline.guard(self._process.pid)
        self._exit: Future[int] = Future()
        # A thread of its own, not an executor's: an executor is joined when its loop ends, and that would hang here.
        threading.Thread(target=self._reap, args=(lifeline,), name=f"java-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process number; the process may have ended."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for the signal that ended it, or None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        """Return the exit code when it has ended. Cancelling the wait leaves the process alone."""
        return await asyncio.shield(asyncio.wrap_future(self._exit))

    async def end(self, grace_seconds: float) -> int:
        """Ask it to end (SIGTERM), kill it when it has not after the grace, and return the exit code."""
        self._signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self.wait(), grace_seconds)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._signal(signal.SIGKILL)
            if isinstance(error, asyncio.CancelledError):
                raise
        return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _reap(self, lifeline: Lifeline) -> None:
        code = self._process.wait()
        lifeline.release()
        self._exit.set_result(code)
