"""A blocking function awaited without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(function: Callable[[], Result], name: str) -> Result:
    """Run `function` in a daemon thread of its own and return or raise what it does.

    Not `asyncio.to_thread`: its pool has six threads on two cores, a blocking call that outlived its timeout would
    keep one of them, and the interpreter waits for all of them before it exits. How many run at once is bounded by
    whoever awaits this.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return  # the waiter was cancelled or timed out
        if error is None:
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

    threading.Thread(target=work, name=f"tool-{name}", daemon=True).start()
    return await future
