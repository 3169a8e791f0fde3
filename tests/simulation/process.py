"""A process of a simulation: lives, is killed or stalled, comes back, and belongs to a consumer group."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.simulation.group import Group
from tests.simulation.log import Log, Source

STARTS_WITHIN_MS = 400.0


class Process:
    """A member of a group. Subclasses say what it does with what it is assigned."""

    def __init__(self, name: str, log: Log, group: Group) -> None:
        """Prepare; `start` joins the group."""
        self.name = name
        self.life = 0
        self.stalled_until = 0.0
        self.log = log
        self.world = log.world
        self.group = group
        self.generation = -1
        self._is_up = False
        self._skew_ms = self.world.rng.uniform(-50, 50)

    @property
    def responds(self) -> bool:
        """Whether it is up and does not stand still."""
        return self._is_up and self.stalled_until <= self.world.now

    def clock(self) -> datetime:
        """Tell the time by this machine's clock, which is a little off."""
        return self.world.time(self._skew_ms)

    def start(self) -> None:
        """Come up with nothing in memory."""
        self._is_up = True
        self.forget()
        self.group.join(self)

    def crash(self) -> None:
        """Die at once, and be started again a little later."""
        self.life += 1
        self._is_up = False
        self.stands_still()
        self.group.miss(self)
        self.world.later(STARTS_WITHIN_MS * self.world.rng.random(), self.start)

    def stall(self, ms: float) -> None:
        """Stand still, longer than the group has patience or not, and go on as if nothing had been."""
        self.stalled_until = self.world.now + ms
        self.stands_still()
        self.group.miss(self)
        life = self.life

        def wake() -> None:
            if life == self.life:
                self.goes_on()
                # Until it hears of what has happened meanwhile it goes on as if it still owned all it did.
                self.world.later(100 * self.world.rng.random(), hear)

        def hear() -> None:
            if life == self.life and self.responds:
                self.group.join(self)

        self.world.later(ms, wake)

    def forget(self) -> None:
        """Lose whatever is in memory."""
        raise NotImplementedError

    def revoked(self) -> None:
        """Let go of everything, in order."""
        raise NotImplementedError

    def assigned(self, shares: Sequence[Source], generation: int) -> None:
        """Begin to work on what is ours now."""
        raise NotImplementedError

    def stands_still(self) -> None:
        """Note that nothing can be expected of it now."""

    def goes_on(self) -> None:
        """Note that something can be expected of it again."""
