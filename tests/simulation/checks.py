"""What must be true when a simulation has come to rest. Each check yields what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import orjson

from schemas.record import Record
from streams.runs.changelog import runs_of
from streams.runs.table import Table
from tests.simulation.aggregator import changelog_rows
from tests.simulation.cluster import Cluster
from tests.simulation.log import NOTHING, PARTITIONS
from tests.simulation.planner import TIMEOUT_MS
from tests.simulation.toolbox import ROUTES, TOPICS
from tests.simulation.world import START_MS

ON_TIME_MS = 1_000.0


def violations(cluster: Cluster) -> Iterator[str]:
    """Yield everything that is wrong."""
    yield from cluster.judge.violations
    yield from _answered_once(cluster)
    yield from _on_time(cluster)
    yield from _nothing_left(cluster)
    yield from _buried_once(cluster)
    for number in range(PARTITIONS):
        yield from _table_is_its_changelog(cluster, number)
        yield from _replay_gives_the_same(cluster, number)
    yield from _first_outcome_counts(cluster)


def _answered_once(cluster: Cluster) -> Iterator[str]:
    responses = Counter((one.key or b"").decode() for one in cluster.log.all(ROUTES.responses))
    for name in cluster.upstream.requested.keys() | responses.keys():
        wanted = int(name in cluster.upstream.requested)
        if responses[name] != wanted:
            yield f"{name} has {responses[name]} responses instead of {wanted}"


def _on_time(cluster: Cluster) -> Iterator[str]:
    """A response is late when an owner that was able to work had a second for it after the deadline."""
    for response in cluster.log.all(ROUTES.responses):
        request = cluster.upstream.requested[(response.key or b"").decode()]
        document = orjson.loads(request.value or b"")
        deadline = request.timestamp_ms - START_MS + (document.get("timeout_ms") or TIMEOUT_MS)
        for start, end in cluster.judge.served[response.partition]:
            if min(end, response.timestamp_ms - START_MS) - max(start, deadline) > ON_TIME_MS:
                yield f"{response.key!r} is answered {response.timestamp_ms - START_MS - deadline:.0f} ms too late"


def _nothing_left(cluster: Cluster) -> Iterator[str]:
    for group, topics in cluster.inputs.items():
        for source in ((topic, number) for topic in topics for number in range(PARTITIONS)):
            committed = cluster.log.committed.get((group, source), NOTHING).offset
            if left := cluster.log.read(source, committed)[0]:
                yield f"{group} has left {len(left)} records of {source} unfinished from {committed} on"


def _buried_once(cluster: Cluster) -> Iterator[str]:
    buried = Counter(_origin(letter) for letter in cluster.log.all(ROUTES.dead_letters))
    wanted = Counter(f"{one.topic}-{one.partition}@{one.offset}" for one in cluster.upstream.unreadable)
    if buried != wanted:
        yield f"dead letters: {buried} instead of {wanted}"


def _origin(letter: Record) -> str:
    header = {name: (value or b"").decode() for name, value in letter.headers}
    return f"{header['dlq-topic']}-{header['dlq-partition']}@{header['dlq-offset']}"


def _table_is_its_changelog(cluster: Cluster, number: int) -> Iterator[str]:
    owners = [one.partitions[number] for one in cluster.aggregators if number in one.partitions]
    if len(owners) != 1 or owners[0].table is None:
        yield f"partition {number} has {len(owners)} owners, or it is not open"
    elif owners[0].table._runs != runs_of(changelog_rows(cluster.log, number).values()):
        yield f"the table of partition {number} is not what its changelog holds"


def _replay_gives_the_same(cluster: Cluster, number: int) -> Iterator[str]:
    log = cluster.log
    table = Table(number, ROUTES, TIMEOUT_MS, {}, TOPICS)
    inputs = [record for topic in (ROUTES.requests, ROUTES.run_events) for record in log.read((topic, number), 0)[0]]
    if cluster.seed % 2:
        inputs.sort(key=lambda record: record.timestamp_ms)  # instead of all requests first: it must not matter
    for record in inputs:
        table.fold(record)
    replayed = {out.key: out.value for out in table.take_batch().records if out.topic == ROUTES.responses}
    given = {one.key: one.value for one in log.read((ROUTES.responses, number), 0)[0]}
    for key in replayed.keys() | given.keys():
        if replayed.get(key) != given.get(key):
            yield f"a replay answers {key!r} otherwise:\n{replayed.get(key)!r} instead of\n{given.get(key)!r}"


def _first_outcome_counts(cluster: Cluster) -> Iterator[str]:
    first: dict[tuple[str, str], dict[str, object]] = {}
    for event in _documents(cluster.log.all(ROUTES.run_events)):
        if str(event["type"]).startswith("tool_call."):
            first.setdefault((str(event["correlation_id"]), str(event["call_id"])), event)
    for response in _documents(cluster.log.all(ROUTES.responses)):
        results = response["results"]
        assert isinstance(results, list)
        for result in results:
            if result["status"] == "succeeded":
                told = first[str(response["correlation_id"]), result["call_id"]].get("result")
                if told != result["result"]:
                    yield f"{result['call_id']} counts as {result['result']!r}, but was told to be {told!r} first"


def _documents(records: Iterable[Record]) -> Iterator[dict[str, object]]:
    for record in records:
        if (record.value or b"")[:1] == b"{":
            yield orjson.loads(record.value or b"")
