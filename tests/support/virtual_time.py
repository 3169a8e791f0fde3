"""An event loop whose clock jumps: a sleep takes no time, and yet its length can be asserted exactly."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Skips every wait: when nothing is ready, its time is that of the next timer. Not for code that uses threads."""

    def __init__(self) -> None:
        """Start at second 0."""
        super().__init__(_SkippingSelector(self))
        self.now = 0.0

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self.now


class _SkippingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now, or move the clock by `timeout` seconds."""
        ready = super().select(0 if timeout else timeout)
        if not ready and timeout:
            self._loop.now += timeout
        return ready


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end in virtual time; inside, `asyncio.get_running_loop().time()` tells it (seconds)."""
    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
