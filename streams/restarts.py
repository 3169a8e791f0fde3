"""How long to wait before something that died is started again."""

from __future__ import annotations

import time
from collections.abc import Callable

RESTART_SECONDS = (0.2, 1.0, 5.0)
"""Pauses before the first, second and every later restart of what keeps dying."""

HEALTHY_SECONDS = 60.0
"""What was up for so long has recovered: its next death is the first one again."""


class RestartPauses:
    """The pauses of one process: ever longer while it keeps dying, short again after it was up for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a process that is up now. `clock` gives seconds."""
        self._clock = clock
        self._deaths = 0
        self._up_since: float | None = clock()

    def up(self) -> None:
        """Note that it is up again."""
        self._up_since = self._clock()

    def next(self) -> float:
        """Note that it died, or did not come up; return the seconds to wait before it is started again."""
        if self._up_since is not None and self._clock() - self._up_since >= HEALTHY_SECONDS:
            self._deaths = 0
        self._up_since = None
        pause = RESTART_SECONDS[min(self._deaths, len(RESTART_SECONDS) - 1)]
        self._deaths += 1
        return pause
