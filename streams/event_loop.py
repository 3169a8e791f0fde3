"""The event loop of a command: the fastest there is here, and one that ends."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from schemas.errors import OrchestratorError

ResultT = TypeVar("ResultT")

END_SECONDS = 2.0
"""How long what is left on the loop may take to end after the work of a command is done."""


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run `work` to its end, and its process with it.

    `asyncio.run` cancels what is left on the loop and waits for it without bound. A tool that does not let itself be
    cancelled, or Faust, which starts an agent again whose task was cancelled, would keep the process alive for ever,
    deaf to SIGTERM. So after `END_SECONDS` the process ends all the same, with the status that is its result when that
    is a number, else 0; 2 when `work` raised an error that we know, 1 for any other.
    """
    ended = threading.Event()

    async def watched() -> ResultT:
        try:
            result = await work
        except BaseException as error:
            _watch(ended, 2 if isinstance(error, OrchestratorError) else 1, f"orchestrator: {error}\n")
            raise
        _watch(ended, result if isinstance(result, int) else 0)
        return result

    try:
        return _run(watched())
    finally:
        ended.set()


def _run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _watch(ended: threading.Event, status: int, reason: str = "") -> None:
    def watch() -> None:
        if ended.wait(END_SECONDS):
            return
        sys.stderr.write(f"{reason}orchestrator: what does not let itself be stopped is left behind\n")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    threading.Thread(target=watch, name="certain end", daemon=True).start()
