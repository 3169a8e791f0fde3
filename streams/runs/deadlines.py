"""Deadlines of the open runs of one partition, soonest first. Takes the time as an argument."""

from __future__ import annotations

import heapq
from datetime import datetime


class Deadlines:
    """A heap of (deadline, correlation id).

    Runs that ended meanwhile stay in it until they are due: whoever takes them out checks.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._heap: list[tuple[datetime, str]] = []

    def push(self, correlation_id: str, deadline: datetime) -> None:
        """Watch a run."""
        heapq.heappush(self._heap, (deadline, correlation_id))

    def next(self) -> datetime | None:
        """Return the soonest deadline, None when no run is watched."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: datetime) -> list[str]:
        """Take out the runs whose deadline is at or before `now`, soonest first."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[1])
        return due
