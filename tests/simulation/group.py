"""A consumer group of a simulation: shares partitions among its members, and takes commits of current members only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from streams.faust_thread import Commit
from tests.simulation.log import Log, Source

SESSION_MS = 600.0
"""How long a member may be silent."""


class Member(Protocol):
    """What a group needs of a process. `generation` is the last it has heard of."""

    generation: int

    @property
    def responds(self) -> bool:
        """Whether it hears of a rebalance."""
        ...

    def revoked(self) -> None:
        """Hear that the group is about to share anew."""
        ...

    def assigned(self, shares: Sequence[Source], generation: int) -> None:
        """Hear of its share."""
        ...


class Group:
    """Members that share the partitions of some topics; those of one number go together where `together` is set."""

    def __init__(self, log: Log, name: str, topics: Sequence[str], numbers: range, *, together: bool = False) -> None:
        """Start without members."""
        self.name = name
        self.generation = 0
        self.on_commit: Callable[[str, Source, Commit], None] = lambda *_: None
        self._log = log
        self._shares = [[(topic, number)] for topic in topics for number in numbers]
        if together:
            self._shares = [[(topic, number) for topic in topics] for number in numbers]
        self._members: list[Member] = []

    def join(self, member: Member) -> None:
        """Come in, or come back: shares anew unless the group has not noticed the absence."""
        if not self.is_current(member):
            self._share(member)

    def miss(self, member: Member) -> None:
        """Note that a member is silent: it is put out when it stays so."""

        def put_out() -> None:
            if not member.responds and member in self._members:
                self._share()

        self._log.world.later(SESSION_MS, put_out)

    def is_current(self, member: Member) -> bool:
        """Tell whether the member belongs to the present generation."""
        return member in self._members and member.generation == self.generation

    def commit(self, member: Member, source: Source, commit: Commit) -> bool:
        """Take a commit; False from a member that was put out."""
        if not self.is_current(member):
            self._log.world.seen["commit refused"] += 1
            return False
        self.on_commit(self.name, source, commit)
        self._log.committed[self.name, source] = commit
        return True

    def _share(self, *new: Member) -> None:
        """Share anew among all who hear of it: those let go first."""
        present = [member for member in self._members if member.responds]
        for member in present:
            member.revoked()
        self._members = [*present, *(member for member in new if member not in present)]
        self._log.world.rng.shuffle(self._members)
        self.generation += 1
        for index, member in enumerate(list(self._members)):
            owned = self._shares[index :: len(self._members)]
            member.assigned([source for share in owned for source in share], self.generation)
