"""Promises of the checker: it finds each broken promise in a log that is otherwise healthy."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.record import Record
from streams import topology
from streams.commit_metadata import encode_finished
from tests.support.checker import check
from tests.support.log_reader import read_commit
from tests.support.made_up_log import EFFECT_TOPIC, ROUTES, TOOL_TOPIC, changed, found, healthy, moved
from tests.support.whole_log import Execution, GroupCommit, Span, WholeLog

HOUR_MS = 3_600_000
Spoil = Callable[[WholeLog], None]


def promises(log: WholeLog) -> set[str]:
    """Return the promises that the checker finds broken."""
    return {violation.promise for violation in check(log).violations}


def commit_of(log: WholeLog, topic: str, group: topology.Role = topology.TOOLS) -> int:
    """Return where the first commit of a topic by a group is in the list."""
    name = ROUTES.group(group, toolset="default")
    return next(number for number, one in enumerate(log.commits) if (one.group, one.source[0]) == (name, topic))


def lost_response(log: WholeLog) -> None:
    """Let a run have no response."""
    log.committed.remove(found(log, ROUTES.responses))


def doubled_response(log: WholeLog) -> None:
    """Answer a run twice."""
    first = found(log, ROUTES.responses)
    log.committed.append(replace(first, offset=99))


def unasked_response(log: WholeLog) -> None:
    """Answer someone who never asked."""
    first = found(log, ROUTES.responses)
    value = (first.value or b"").replace(b'"run-1"', b'"run-9"')
    log.committed.append(replace(first, offset=99, key=b"run-9", value=value))


def late_response(log: WholeLog) -> None:
    """Answer an hour later."""
    moved(log, found(log, ROUTES.responses), HOUR_MS)


def run_again(log: WholeLog) -> None:
    """Run a call once more when all is over."""
    log.executions.append(Execution("run-1-look", max(one.at_ms for one in log.commits) + 1))


def run_what_was_aborted(log: WholeLog) -> None:
    """Run a call that nobody has committed."""
    log.executions.append(Execution("nobody's", log.executions[0].at_ms))


def run_after_the_deadline(log: WholeLog) -> None:
    """Let the only execution of a call begin when its deadline has passed."""
    log.executions[0] = replace(log.executions[0], at_ms=log.executions[0].at_ms + 2 * HOUR_MS)


def effect_before_its_plan(log: WholeLog) -> None:
    """Run a payment first of all."""
    log.executions[1] = replace(log.executions[1], at_ms=log.executions[0].at_ms)


def effect_asked_for_twice(log: WholeLog) -> None:
    """Publish a payment again."""
    log.committed.append(replace(found(log, EFFECT_TOPIC), offset=99))


def commit_before_the_outcome(log: WholeLog) -> None:
    """Acknowledge a call as soon as it is there."""
    place = commit_of(log, TOOL_TOPIC)
    log.commits[place] = replace(log.commits[place], at_ms=found(log, TOOL_TOPIC).timestamp_ms)


def commit_before_the_plan(log: WholeLog) -> None:
    """Acknowledge a request as soon as it is there."""
    place = commit_of(log, ROUTES.requests, topology.PLANNER)
    log.commits[place] = replace(log.commits[place], at_ms=found(log, ROUTES.requests).timestamp_ms)


def commit_past_a_gap(log: WholeLog) -> None:
    """Acknowledge the second call with the first."""
    place = commit_of(log, TOOL_TOPIC)
    log.commits[place] = replace(log.commits[place], offset=2)


def commit_ahead_too_soon(log: WholeLog) -> None:
    """Say in the metadata that the second call is finished as well."""
    place = commit_of(log, TOOL_TOPIC)
    log.commits[place] = replace(log.commits[place], metadata=encode_finished(1, [1]))


def commit_backwards(log: WholeLog) -> None:
    """Take an acknowledgement back."""
    log.commits.append(replace(log.commits[commit_of(log, TOOL_TOPIC)], offset=0))


def lost_row(log: WholeLog) -> None:
    """Lose what stays of a run."""
    for record in [one for one in log.of(ROUTES.runs_changelog) if one.key == b"run-1"]:
        log.committed.remove(record)


def offsets_without_rows(log: WholeLog) -> None:
    """Commit a request, in the aggregator, whose row is not written."""
    group = ROUTES.group(topology.AGGREGATOR)
    last = found(log, ROUTES.requests, key="run-2")
    log.committed.append(replace(last, offset=2, key=b"run-3"))
    log.commits.append(GroupCommit(group, (ROUTES.requests, 0), 3, "", last.timestamp_ms))


def another_response(log: WholeLog) -> None:
    """Answer what does not follow from the log."""
    first = found(log, ROUTES.responses)
    changed(log, first, lambda one: replace(one, value=(one.value or b"").replace(b'"done"', b'"gone"')))


def folded_twice(log: WholeLog) -> None:
    """Bury the first request of a run as if it had been there before."""
    headers = (("dlq-topic", ROUTES.requests.encode()), ("dlq-partition", b"0"), ("dlq-offset", b"0"))
    log.committed.append(replace(found(log, ROUTES.requests), topic=ROUTES.dead_letters, headers=headers))


def plan_before_the_request(log: WholeLog) -> None:
    """Plan a run that was not asked for yet."""
    moved(log, found(log, ROUTES.run_events, '"plan.created"'), -1000)


def turn_before_the_plan(log: WholeLog) -> None:
    """Ask for the second turn before the first is planned."""
    moved(log, found(log, ROUTES.turns), -1000)


def call_before_the_request(log: WholeLog) -> None:
    """Publish a call of a run that was not asked for yet."""
    moved(log, found(log, TOOL_TOPIC), -1000)


def outcome_before_the_call(log: WholeLog) -> None:
    """Know how a call ended before it was published."""
    moved(log, found(log, ROUTES.run_events, '"tool_call.succeeded"'), -1000)


def effect_published_before_its_plan(log: WholeLog) -> None:
    """Publish a payment before its plan is there."""
    moved(log, found(log, EFFECT_TOPIC), -40)


def response_before_the_last_plan(log: WholeLog) -> None:
    """Answer before the answer was planned."""
    moved(log, found(log, ROUTES.responses), -60)


CAUSE = "cause before effect"
FINISHED = "finished before it is committed"
TABLE = "the table is a function of the log"
SPOILT: list[tuple[Spoil, str]] = [
    (lost_response, "answered"),
    (doubled_response, "answered once"),
    (unasked_response, "answered"),
    (late_response, "in time"),
    (run_again, "what is finished is not run again"),
    (run_what_was_aborted, "runs what was committed"),
    (run_after_the_deadline, "nothing runs after its deadline"),
    (effect_before_its_plan, "an effect waits for its plan"),
    (effect_asked_for_twice, "an effect is asked for once"),
    (commit_before_the_outcome, FINISHED),
    (commit_before_the_plan, FINISHED),
    (commit_past_a_gap, FINISHED),
    (commit_ahead_too_soon, FINISHED),
    (commit_backwards, "commits go forward"),
    (lost_row, TABLE),
    (offsets_without_rows, TABLE),
    (folded_twice, "folded once"),
    (another_response, "replay gives the same response"),
    (plan_before_the_request, CAUSE),
    (turn_before_the_plan, CAUSE),
    (call_before_the_request, CAUSE),
    (outcome_before_the_call, CAUSE),
    (effect_published_before_its_plan, CAUSE),
    (response_before_the_last_plan, CAUSE),
]


def test_nothing_is_wrong_with_a_healthy_log() -> None:
    """It would be worth nothing if it cried wolf; and it has looked at everything there is."""
    log = healthy()
    report = check(log)
    assert report.violations == []
    assert (report.requests, report.answered, report.missing, report.doubled) == (2, 2, 0, 0)
    assert (report.executions.total, report.commits) == (4, len(log.commits))
    assert report.statuses == {"completed": 2}


@pytest.mark.parametrize(("spoil", "promise"), SPOILT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_promise_is_found(spoil: Spoil, promise: str) -> None:
    """Every kind of violation, one at a time."""
    log = healthy()
    spoil(log)
    assert promise in promises(log)


def test_a_repetition_in_flight_is_counted_and_no_violation() -> None:
    """A worker was killed before it could acknowledge: the call has to run again."""
    log = healthy()
    log.executions.append(replace(log.executions[0], at_ms=log.executions[0].at_ms + 1))
    report = check(log)
    assert (report.executions.in_flight, report.executions.after_commit) == (1, 0)
    assert report.violations == []


def test_a_call_that_was_published_again_may_run_again() -> None:
    """A planner was killed and planned anew: the second record of the call is no record that was acknowledged."""
    log = healthy()
    end = max(one.at_ms for one in log.commits)
    log.committed.append(replace(found(log, TOOL_TOPIC), offset=99, timestamp_ms=end))
    log.executions.append(Execution("run-1-look", end + 1))
    report = check(log)
    assert (report.executions.published_again, report.executions.after_commit) == (1, 0)
    assert report.violations == []


def test_what_was_acknowledged_out_of_order_is_not_run_again() -> None:
    """What the commit metadata says is finished counts as acknowledged."""
    log = healthy()
    call, again = log.of(TOOL_TOPIC)[:2]
    end = max(one.at_ms for one in log.commits)
    group = ROUTES.group(topology.TOOLS, toolset="default")
    source = (TOOL_TOPIC, 0)
    log.commits = [one for one in log.commits if one.source != source]
    log.commits.append(GroupCommit(group, source, call.offset, encode_finished(call.offset, [again.offset]), end))
    log.executions.append(Execution("run-2-look", end + 1))
    assert check(log).executions.after_commit == 1
    log.executions[-1] = Execution("run-1-look", end + 1)
    assert check(log).executions.after_commit == 0


def test_responses_in_aborted_transactions_are_counted_apart() -> None:
    """No `read_committed` reader sees them, so they double nothing."""
    log = healthy()
    log.uncommitted = [*log.committed, replace(found(log, ROUTES.responses), offset=99)]
    report = check(log)
    assert (report.aborted_copies, report.doubled) == (1, 0)
    assert report.violations == []


def test_a_deadline_is_excused_while_what_keeps_it_was_dead() -> None:
    """But only until it should be back."""
    log = healthy()
    late_response(log)
    response = found(log, ROUTES.responses)
    log.excused = [Span(response.timestamp_ms - HOUR_MS, response.timestamp_ms)]
    assert "in time" not in promises(log)
    log.excused = [Span(response.timestamp_ms - HOUR_MS, response.timestamp_ms - 1)]
    assert "in time" in promises(log)


def test_a_stall_is_the_longest_time_without_a_response_while_someone_waits() -> None:
    """Time in which nobody waits is no stall."""
    log = healthy()
    ends = [found(log, ROUTES.responses, key=name).timestamp_ms for name in ("run-1", "run-2")]
    starts = [found(log, ROUTES.requests, key=name).timestamp_ms for name in ("run-1", "run-2")]
    report = check(log)
    assert report.stall_ms == max(end - start for start, end in zip(starts, ends, strict=True)) == report.slowest_ms


@pytest.mark.parametrize(
    ("tail", "metadata"),
    [
        (struct.pack(">hqih", 3, 7, -1, 3) + b"1:A", "1:A"),
        (struct.pack(">hqh", 1, 7, 0), ""),
        (struct.pack(">hqi", 4, 7, -1) + b"\x04" + b"1:A", "1:A"),
        (struct.pack(">hqi", 4, 7, -1) + b"\xad\x02" + b"x" * 300, "x" * 300),
    ],
)
def test_the_brokers_own_record_of_a_commit_is_read(tail: bytes, metadata: str) -> None:
    """In the versions that brokers write."""
    key = struct.pack(">hh", 1, 1) + b"g" + struct.pack(">h", 1) + b"t" + struct.pack(">i", 5)
    commit = read_commit(Record("offsets", 0, 0, 123, key, tail + b"\0" * 8))
    assert commit == GroupCommit("g", ("t", 5), 7, metadata, 123)
    assert read_commit(Record("offsets", 0, 0, 123, key, None)) is None
    assert read_commit(Record("offsets", 0, 0, 123, struct.pack(">hh", 2, 1) + b"g", tail)) is None
