"""Blocking work that nothing ever has to wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")

GRACE_SECONDS = 1.0
"""How long cancelled work may take to notice before it is left behind."""


async def in_daemon_thread(work: Callable[[threading.Event], ResultT]) -> ResultT:
    """Run `work` in a thread of its own and return its result.

    When this is cancelled, the event that `work` was given is set; work that does not notice is left behind. It ends
    with the process: `asyncio.to_thread` would have loop and interpreter wait for it, however long a download takes.
    """
    loop = asyncio.get_running_loop()
    end: asyncio.Future[ResultT] = loop.create_future()
    cancelled = threading.Event()

    def settle(result: ResultT | None, error: BaseException | None) -> None:
        if end.cancelled():
            return
        if error is not None:
            end.set_exception(error)
        else:
            end.set_result(result)  # type: ignore[arg-type] # there is a result when there is no error

    def run() -> None:
        result, error = None, None
        try:
            result = work(cancelled)
        except BaseException as raised:  # noqa: BLE001 - raised where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="blocking work", daemon=True).start()
    try:
        return await asyncio.shield(end)
    except asyncio.CancelledError:
        cancelled.set()
        end.add_done_callback(lambda ended: ended.exception())  # what cancelled work raises is of no interest
        await asyncio.wait({end}, timeout=GRACE_SECONDS)
        raise
