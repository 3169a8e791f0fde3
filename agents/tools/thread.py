"""Blocking functions awaited without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from agents.tools.errors import ToolFailed

Result = TypeVar("Result")

MAX_OVERDUE = 20
"""How many calls of one tool may still be running although nobody waits for them any more, before its further calls are
refused. A blocking function cannot be stopped: each keeps its thread, with memory and whatever it holds, until it
returns by itself."""


class ToolThreads:
    """Runs the calls of one blocking tool, each in a daemon thread of its own.

    Not `asyncio.to_thread`: its pool has six threads on two cores, a blocking call that outlived its time limit would
    keep one of them, and the interpreter waits for all of them before it exits.

    Whoever awaits the calls bounds how many are waited for at once; `MAX_OVERDUE` bounds how many are not.
    """

    def __init__(self, tool: str) -> None:
        """Name the tool."""
        self._tool = tool
        self._overdue = 0

    async def run(self, function: Callable[[], Result]) -> Result:
        """Run `function` and return or raise what it does. Cancelling stops the waiting only.

        Raises `ToolFailed`, retryable, while too many earlier calls have not come back.
        """
        if self._overdue >= MAX_OVERDUE:
            reason = (
                f"{self._tool} is not run: {self._overdue} earlier calls of it are still running past their time. "
                "Give what it waits for a time limit of its own"
            )
            raise ToolFailed(reason=reason, retryable=True)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._start(function, future)
        try:
            return await future
        finally:
            if future.cancelled():
                self._overdue += 1  # `settle` counts it down when it comes back

    def _start(self, function: Callable[[], Result], future: asyncio.Future[Result]) -> None:
        loop = future.get_loop()
        context = contextvars.copy_context()

        def settle(result: Result | None, error: BaseException | None) -> None:
            if future.done():  # the waiter was cancelled, or its time was up
                self._overdue -= 1
            elif error is None:
                future.set_result(result)  # type: ignore[arg-type] # without an error there is a result
            else:
                future.set_exception(error)

        def work() -> None:
            result: Result | None = None
            error: BaseException | None = None
            try:
                result = context.run(function)
            except StopIteration as stop:
                # A future refuses to carry it.
                error = RuntimeError(f"the function raised StopIteration: {stop}")
            except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the waiter
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=work, name=f"tool-{self._tool}", daemon=True).start()
