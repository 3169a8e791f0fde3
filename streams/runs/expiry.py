"""When rows may be forgotten that no response is expected of any more. Takes the time as an argument.

The rule, per partition of the runs table:

- what stays of a finished run is forgotten 24 hours after its end, or sooner when more than 50,000 are remembered;
- what run events have opened is forgotten when its request has not been read 24 hours later.

Until then a repeated or late record finds the row and changes nothing. After that a repeated request is a new run.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

KEPT = timedelta(hours=24)
MAX_KEPT = 50_000


class Expiry:
    """Runs by the broker time since when they may be forgotten, oldest first."""

    def __init__(self) -> None:
        """Start empty."""
        self._queue: deque[tuple[datetime, str]] = deque()

    def __len__(self) -> int:
        """Count what is watched."""
        return len(self._queue)

    def push(self, correlation_id: str, since: datetime) -> None:
        """Watch a run. Called in about the order of time: one that is a little late is forgotten a little late."""
        self._queue.append((since, correlation_id))

    def pop_due(self, now: datetime) -> list[str]:
        """Take out the runs to forget at broker time `now`."""
        due = []
        while self._queue and (len(self._queue) > MAX_KEPT or self._queue[0][0] + KEPT <= now):
            due.append(self._queue.popleft()[1])
        return due
