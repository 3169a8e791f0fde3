"""Which offsets of one partition are unfinished, and so how far may be committed. Pure.

Faust commits past unfinished messages (docs/decisions/0003), so it is never asked: what is committed is what this says.
"""

from __future__ import annotations

from collections import OrderedDict


class InOrderOffsets:
    """The records of one partition that were begun, in arrival order.

    Only records that were handed over are known here; those still queued have higher offsets. Offsets may have holes
    (transaction markers, compacted records): nothing is assumed about a number that was never begun.
    """

    def __init__(self) -> None:
        """Start with nothing begun."""
        self._unfinished: OrderedDict[int, None] = OrderedDict()
        self._last: int | None = None

    def __len__(self) -> int:
        """Count the unfinished records."""
        return len(self._unfinished)

    def begin(self, offset: int) -> bool:
        """Note that the record at `offset` was handed over, in the order of the partition.

        False when it was before: whoever began it first will finish it.
        """
        if self._last is not None and offset <= self._last:
            return False
        self._last = offset
        self._unfinished[offset] = None
        return True

    def finish(self, offset: int) -> None:
        """Note that all the record at `offset` caused is confirmed by the broker."""
        self._unfinished.pop(offset, None)

    def committable(self) -> int | None:
        """Return the offset to commit, that of the next record to read; None when nothing was begun.

        It is that of the lowest unfinished record, so a crash repeats every record that is not finished.
        """
        if self._last is None:
            return None
        return next(iter(self._unfinished), self._last + 1)
