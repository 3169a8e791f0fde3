"""Whether nothing was acknowledged before it was done, and nothing done again after it was acknowledged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.codec import Malformed
from schemas.events import TOOL_CALLS, TURNS
from schemas.record import Record
from schemas.submission import Submission, read_submission
from streams import topology
from streams.commit_metadata import decode_finished
from tests.support.violation import Violation
from tests.support.whole_log import GroupCommit, Index, Source, WholeLog

NOTHING_TO_DO = 0
"""When a record was finished that asks for nothing."""

CLOCK_MS = 5
"""By how much a deadline that has passed may have seemed not to, a moment before."""

Acknowledged = Mapping[tuple[Source, int], int]
"""When a record, by its place, was first covered by a commit of the group that reads it (broker time, ms)."""


@dataclass(slots=True)
class ExecutionCounts:
    """How often tools ran. A repetition is `in_flight` when nobody had acknowledged the call by then."""

    total: int = 0
    in_flight: int = 0
    published_again: int = 0
    """Run after one copy of the call was acknowledged, for another copy that was not."""
    after_commit: int = 0


def of_commits(log: WholeLog, index: Index) -> Iterator[Violation]:
    """Judge each commit: all that it says is finished must have been so by then."""
    groups = {
        log.routes.group(topology.PLANNER): "planner",
        log.routes.group(topology.TOOLS, toolset=log.toolset): "tools",
    }
    records: dict[Source, list[Record]] = defaultdict(list)
    for record in log.committed:
        records[record.topic, record.partition].append(record)
    # Per group and partition, how many records from the start are known to have been finished when they were committed.
    passed: dict[tuple[str, Source], int] = defaultdict(int)
    last: dict[tuple[str, Source], int] = {}
    for commit in log.commits:
        key = (commit.group, commit.source)
        if commit.offset < last.get(key, 0):
            yield Violation("commits go forward", _named(commit), f"after {last[key]}")
        last[key] = max(commit.offset, last.get(key, 0))
        if commit.group not in groups:
            continue  # the aggregator commits in the transaction that does the work; check_table judges that
        inputs = records[commit.source]
        while passed[key] < len(inputs) and inputs[passed[key]].offset < commit.offset:
            yield from _unfinished(log, index, inputs[passed[key]], commit)
            passed[key] += 1
        ahead = decode_finished(commit.offset, commit.metadata)
        if ahead:
            for record in inputs[passed[key] :]:
                if record.offset in ahead:
                    yield from _unfinished(log, index, record, commit)


def _unfinished(log: WholeLog, index: Index, record: Record, commit: GroupCommit) -> Iterator[Violation]:
    finished = _finished_at(log, index, record)
    if finished is None or finished > commit.at_ms:
        when = "never" if finished is None else f"{finished - commit.at_ms} ms later"
        yield Violation("finished before it is committed", _named(commit), f"but offset {record.offset} was so {when}")


def _finished_at(log: WholeLog, index: Index, record: Record) -> int | None:
    """Return when the broker had what a record asks for; None: never."""
    times = [at for _, at in _answers_to(log, index, record)]
    buried = index.buried.get((record.topic, record.partition, record.offset))
    return min([*times, *([] if buried is None else [buried])], default=None)


def _answers_to(log: WholeLog, index: Index, record: Record) -> Sequence[tuple[object, int]]:
    """List the plans of a turn, or the outcomes of a call, with their times."""
    if record.topic == log.routes.requests:
        submission = read_submission(record, log.default_timeout_ms)
        if not isinstance(submission, Submission):
            return [(None, NOTHING_TO_DO)]  # only the aggregator answers it
        return index.plans.get((submission.correlation_id, 1), [])
    if record.topic == log.routes.turns:
        turn = TURNS.decode(record.value)
        return [] if isinstance(turn, Malformed) else index.plans.get((turn.correlation_id, turn.turn), [])
    call = TOOL_CALLS.decode(record.value)
    return [] if isinstance(call, Malformed) else index.outcomes.get(call.call_id, [])


def _named(commit: GroupCommit) -> str:
    topic, partition = commit.source
    return f"{commit.group} committed {topic}-{partition}@{commit.offset}"


def acknowledged_calls(log: WholeLog, index: Index) -> Acknowledged:
    """Find out when each call's record was acknowledged."""
    group = log.routes.group(topology.TOOLS, toolset=log.toolset)
    waiting: dict[Source, list[int]] = defaultdict(list)
    for calls in index.calls.values():
        for _, record in calls:
            waiting[record.topic, record.partition].append(record.offset)
    for offsets in waiting.values():
        offsets.sort()
    found: dict[tuple[Source, int], int] = {}
    for commit in log.commits:
        if commit.group != group or not waiting[commit.source]:
            continue
        ahead = decode_finished(commit.offset, commit.metadata)
        left = []
        for number, offset in enumerate(waiting[commit.source]):
            if offset < commit.offset or offset in ahead:
                found[commit.source, offset] = commit.at_ms
            elif not ahead:
                left += waiting[commit.source][number:]
                break
            else:
                left.append(offset)
        waiting[commit.source] = left
    return found


def of_executions(
    log: WholeLog, index: Index, acknowledged: Acknowledged, counts: ExecutionCounts
) -> Iterator[Violation]:
    """Judge each run of a tool by its own account, and count."""
    planned = index.effects()
    by_call: dict[str, list[float]] = defaultdict(list)
    for execution in log.executions:
        by_call[execution.call_id].append(execution.at_ms)
    for call_id, times in by_call.items():
        counts.total += len(times)
        calls = index.calls.get(call_id)
        if calls is None:
            yield Violation("runs what was committed", call_id, "ran, but no committed record asks for it")
            continue
        late = max(times) - calls[0][0].deadline_at.timestamp() * 1000
        if late > CLOCK_MS:
            yield Violation("nothing runs after its deadline", call_id, f"ran {late:.0f} ms after it")
        if call_id in planned and min(times) < planned[call_id]:
            yield Violation("an effect waits for its plan", call_id, "ran before its plan was committed")
        for at in sorted(times)[1:]:
            yield from _repeated(call_id, at, [record for _, record in calls], acknowledged, counts)


def _repeated(
    call_id: str, at: float, copies: list[Record], acknowledged: Acknowledged, counts: ExecutionCounts
) -> Iterator[Violation]:
    # Only copies that were there by then can have asked for it.
    times = [
        acknowledged.get(((copy.topic, copy.partition), copy.offset)) for copy in copies if copy.timestamp_ms <= at
    ]
    before = [time for time in times if time is not None and time < at]
    if not before:
        counts.in_flight += 1
    elif len(before) < len(times):
        counts.published_again += 1
    else:
        counts.after_commit += 1
        late = at - max(before)
        yield Violation("what is finished is not run again", call_id, f"ran again {late:.0f} ms after its commit")
