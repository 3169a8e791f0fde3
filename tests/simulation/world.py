"""The world of a simulation: virtual time, chance from a seed, and the next step of everything that goes on."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from tests.support.facts import START

Steps: TypeAlias = Generator[float | None, None, None]
"""Something that goes on. Each `yield` says how many milliseconds to the next step; None waits for news in the log.

Between any two steps the process may be killed or stalled, and anything else may happen.
"""

START_MS = round(START.timestamp() * 1000)
FAULTS_END_MS = 3_000.0
MAX_STEPS = 100_000


class NeverSettles(Exception):
    """The world does not come to rest."""


class Mortal(Protocol):
    """What can be killed or stalled: its steps end with its life, and wait for the end of its stall."""

    life: int
    stalled_until: float

    def crash(self) -> None:
        """Die at once."""
        ...

    def stall(self, ms: float) -> None:
        """Stand still."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """Steps under way, and whose they are (None: nobody's, so nothing can befall them)."""

    steps: Steps
    owner: Mortal | None
    life: int


class World:
    """Runs everything in the order of virtual time. Equal seeds give equal worlds."""

    def __init__(self, seed: int) -> None:
        """Begin at 0 ms."""
        self.rng = random.Random(seed)  # noqa: S311 - chance for a test, not for a secret
        self.now = 0.0
        self.seen: Counter[str] = Counter()
        self.faults_left = self.rng.choice((0, 2, 6, 12))
        self._chance = self.rng.choice((0.002, 0.01, 0.03))
        self._due: list[tuple[float, int, Task]] = []
        self._idle: list[Task] = []
        self._count = 0

    def time(self, skew_ms: float = 0.0) -> datetime:
        """Tell the time, as a clock does that is ahead by `skew_ms`."""
        return START + timedelta(milliseconds=self.now + skew_ms)

    def latency(self) -> float:
        """How long a message takes, in milliseconds: a few, now and then many."""
        chance = self.rng.random()
        return 5 * chance if chance < 0.97 else 200 * self.rng.random()

    def start(self, owner: Mortal | None, steps: Steps) -> None:
        """Let something go on, from now."""
        self._push(self.now, Task(steps, owner, owner.life if owner is not None else 0))

    def later(self, ms: float, action: Callable[[], None]) -> None:
        """Do something later, whatever befalls anyone."""

        def steps() -> Steps:
            yield ms
            action()

        self.start(None, steps())

    def news(self) -> None:
        """Wake whoever waits for news."""
        idle, self._idle = self._idle, []
        for task in idle:
            self._push(self.now + self.latency(), task)

    def run(self) -> None:
        """Go on until nothing is left to happen."""
        while self._due:
            self.now, _, task = heapq.heappop(self._due)
            if self._count > MAX_STEPS:
                raise NeverSettles
            self._step(task)

    def _step(self, task: Task) -> None:
        owner = task.owner
        if owner is not None:
            if task.life != owner.life:
                return
            if owner.stalled_until > self.now or self._is_struck(owner):
                if task.life == owner.life:
                    self._push(owner.stalled_until + self.rng.random(), task)
                return
        wait = next(task.steps, -1.0)
        if wait is None:
            self._idle.append(task)
        elif wait >= 0:
            self._push(self.now + wait, task)

    def _is_struck(self, owner: Mortal) -> bool:
        if self.faults_left == 0 or self.now > FAULTS_END_MS or self.rng.random() > self._chance:
            return False
        self.faults_left -= 1
        if self.rng.random() < 0.6:
            self.seen["crash"] += 1
            owner.crash()
        else:
            self.seen["stall"] += 1
            owner.stall(self.rng.choice((50, 500, 1500)) * (0.5 + self.rng.random()))
        return True

    def _push(self, at: float, task: Task) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, task))
