"""Which offsets of one partition are unfinished, and so how far may be committed. Pure.

Faust commits past unfinished messages (docs/decisions/0003), so it is never asked: what is committed is what this says.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable


class InOrderOffsets:
    """The records of one partition that were begun, in arrival order.

    Only records that were handed over are known here; those still queued have higher offsets. Offsets may have holes
    (transaction markers, compacted records): nothing is assumed about a number that was never begun.
    """

    def __init__(self, finished_before: Iterable[int] = ()) -> None:
        """Start with nothing begun. `finished_before` are offsets that an earlier owner has finished out of order."""
        self._unfinished: OrderedDict[int, None] = OrderedDict()
        self._finished_before = set(finished_before)
        self._finished_ahead: list[int] = []
        self._last: int | None = None

    def __len__(self) -> int:
        """Count the unfinished records."""
        return len(self._unfinished)

    @property
    def lead(self) -> int:
        """How many records were begun from the lowest unfinished one on: how far work has run ahead."""
        return len(self._unfinished) + len(self._finished_ahead)

    def begin(self, offset: int) -> bool:
        """Note that the record at `offset` was handed over, in the order of the partition.

        False when it must not be handled: it was begun before (whoever began it will finish it), or an earlier owner
        has finished it.
        """
        if self._last is not None and offset <= self._last:
            return False
        self._last = offset
        if offset in self._finished_before:
            self._finished_before.discard(offset)
            if self._unfinished:
                heapq.heappush(self._finished_ahead, offset)
            return False
        self._unfinished[offset] = None
        return True

    def finish(self, offset: int) -> None:
        """Note that all the record at `offset` caused is confirmed by the broker."""
        if offset not in self._unfinished:
            return
        first = next(iter(self._unfinished))
        del self._unfinished[offset]
        if offset != first:
            heapq.heappush(self._finished_ahead, offset)
            return
        lowest = next(iter(self._unfinished), None)
        while self._finished_ahead and (lowest is None or self._finished_ahead[0] < lowest):
            heapq.heappop(self._finished_ahead)

    def committable(self) -> int | None:
        """Return the offset to commit, that of the next record to read; None when nothing was begun.

        It is that of the lowest unfinished record, so a crash repeats every record that is not finished.
        """
        if self._last is None:
            return None
        return next(iter(self._unfinished), self._last + 1)

    def finished_ahead(self) -> set[int]:
        """Return the offsets beyond the committable one that are finished, to be skipped by the next owner."""
        return self._finished_before.union(self._finished_ahead)
