"""How long work stood still, by the broker's clock."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.whole_log import Index, WholeLog


def longest_stall(log: WholeLog, index: Index) -> tuple[float, float]:
    """Return the longest time without any response while a request waited (ms), and the same within one partition."""
    by_partition: dict[int, list[tuple[int, int]]] = {}
    seen: set[str] = set()
    for record in log.of(log.routes.responses):
        by_partition.setdefault(record.partition, []).append((record.timestamp_ms, -1))
    for name, found in index.responses.items():
        if name in index.requests and name not in seen:
            seen.add(name)
            by_partition[found[0][1].partition].append((index.requests[name][1], 1))
    everything = [change for changes in by_partition.values() for change in changes]
    return _longest(everything), max((_longest(changes) for changes in by_partition.values()), default=0)


def slowest_answer(index: Index) -> float:
    """Return the longest time from a request to its response, in milliseconds."""
    times = (
        found[0][1].timestamp_ms - index.requests[name][1]
        for name, found in index.responses.items()
        if name in index.requests
    )
    return max(times, default=0)


def _longest(changes: Iterable[tuple[int, int]]) -> float:
    waiting, since, longest = 0, 0, 0
    # At one moment requests come first: nothing is answered before it is asked.
    for at, change in sorted(changes, key=lambda one: (one[0], -one[1])):
        if change > 0:
            since = at if waiting == 0 else since
        else:
            longest = max(longest, at - since)
            since = at
        waiting += change
    return longest
