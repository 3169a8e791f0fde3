"""Whether the group still counts this process in.

A process that stood still for longer than its session (SIGSTOP, a paused machine, a broker out of reach) does not know
it at first. What it has queued then may long be done and acknowledged by its replacement: beginning it would run
finished calls again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.02
"""How often it is looked whether the group has answered. Heartbeats are another thread's, so nobody tells."""


class Membership:
    """Knows when the group last confirmed that this process is in it."""

    def __init__(self, session_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start unconfirmed. After `session_seconds` without a heartbeat the group replaces us."""
        self._session_seconds = session_seconds
        self._clock = clock
        self._confirmed_at = float("-inf")

    @property
    def is_certain(self) -> bool:
        """Whether the group cannot have given our partitions to another yet."""
        return self._clock() - self._confirmed_at < self._session_seconds

    async def certain(self) -> None:
        """Return at once in a session; else when the group has answered, having confirmed us or shared anew."""
        while not self.is_certain:  # noqa: ASYNC110 - see POLL_SECONDS
            await asyncio.sleep(POLL_SECONDS)

    def confirm(self) -> None:
        """Note that the group has just given us partitions."""
        self._confirmed_at = self._clock()

    def watch(self, coordinator: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        """Note every heartbeat that is taken: we are in from when it was sent on, since the group counts from later."""
        beat = coordinator._do_heartbeat  # noqa: SLF001 - aiokafka keeps the time to itself

        async def timed() -> bool:
            sent_at = self._clock()
            taken: bool = await beat()
            if taken:
                self._confirmed_at = sent_at
            return taken

        coordinator._do_heartbeat = timed  # noqa: SLF001 - as above
