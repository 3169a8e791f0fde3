"""Promises of the table: what a transaction has to write, and that no record can stop a partition."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.base import Event
from schemas.codec import Malformed
from schemas.control import DeadlineReached
from schemas.events import RESPONSES, RUN_EVENTS, TOOL_CALLS, TURNS
from schemas.failure import FailureCode
from schemas.record import TRACEPARENT, Record
from schemas.rows import CallRow, FinishedRow, RunRow
from schemas.run import RunFinished
from schemas.tool_call import ReplyTo, ToolCallFailed, ToolCallRequested
from streams.routes import Outgoing, Routes
from streams.runs.changelog import runs_of
from streams.runs.run import OpenRun, Run, row_key, rows_of
from streams.runs.table import MAX_EVENT_BYTES, Batch, Table, encode_rows
from tests.support.facts import RUN, answered, at, call, cancelled, failed, planned, submitted, succeeded
from tests.support.records import record, request

ROUTES = Routes("")
TOPICS = {ROUTES.tool_topic(tool) for tool in ("search",)}
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def table(runs: dict[str, Run] | None = None) -> Table:
    """Return the table of partition 3."""
    return Table(3, ROUTES, 60_000, runs or {}, TOPICS)


def folded(*records: Record | Event, into: Table | None = None) -> tuple[Table, Batch]:
    """Fold records, and events as records of `run-events` 10 ms apart; return the table and what is to be written."""
    runs = table() if into is None else into
    for number, one in enumerate(records):
        runs.fold(record(one, ms=10 * number) if isinstance(one, Event) else one)
    return runs, runs.take_batch()


def only_response(batch: Batch) -> RunFinished:
    """Return the one response of a batch."""
    (written,) = [one for one in batch.records if one.topic == "responses"]
    response = RESPONSES.decode(written.value)
    assert isinstance(response, RunFinished)
    return response


def header(written: Outgoing, name: str) -> str:
    """Return a header's text."""
    return (dict(written.headers)[name] or b"").decode()


def test_a_batch_holds_rows_records_and_how_far_the_inputs_were_read() -> None:
    """All of it is one transaction: state, effects and offsets cannot differ."""
    _, batch = folded(
        request(), record(planned("a", call("e", effect="effectful")), offset=40), record(None, offset=41)
    )
    assert set(batch.rows) == {RUN, row_key(RUN, "a"), row_key(RUN, "e")}
    assert [written.topic for written in batch.records] == ["tool-calls-search", "dead-letters"]
    assert batch.offsets["run-events"] == 42
    assert set(batch.offsets) == {"requests", "run-events"}
    assert (batch.folded, batch.is_empty, batch.is_urgent) == (3, False, True)


def test_taking_a_batch_leaves_an_empty_one() -> None:
    """What was handed over is not written twice."""
    runs, _ = folded(request())
    empty = runs.take_batch()
    assert (empty.is_empty, empty.is_urgent, empty.rows, empty.records) == (True, False, {}, [])


def test_facts_that_move_nothing_are_not_urgent() -> None:
    """They ride along with the next transaction: nobody waits for them."""
    _, batch = folded(request(), planned("a", "b"), succeeded("a"))
    assert (batch.is_empty, batch.is_urgent) == (False, False)


def test_only_the_rows_that_changed_are_written() -> None:
    """An outcome is one row, however many calls the run has and however large its request is."""
    runs, _ = folded(request(), planned("a", "b", "c"))
    _, batch = folded(record(succeeded("b"), ms=50), into=runs)
    assert set(batch.rows) == {row_key(RUN, "b")}
    _, repeated = folded(record(succeeded("b"), ms=60), into=runs)
    assert repeated.rows == {}
    assert not repeated.is_empty


def test_the_end_of_a_run_deletes_the_rows_of_its_calls() -> None:
    """Also of those that were first written in the same batch."""
    runs, _ = folded(request(b'{"prompt": "do it", "mode": "results"}'), planned("a", "b"), succeeded("a"))
    _, batch = folded(succeeded("b"), into=runs)
    assert batch.rows[row_key(RUN, "a")] is None
    assert batch.rows[row_key(RUN, "b")] is None
    assert isinstance(batch.rows[RUN], FinishedRow)
    (deleted, *_) = [one for one in encode_rows(batch.rows, "runs-changelog", 3) if one.key == f"{RUN}\na".encode()]
    assert (deleted.value, deleted.partition) == (None, 3)
    assert len(runs) == 0


def test_a_call_is_addressed_to_its_tool_and_back_to_its_run() -> None:
    """A worker needs nothing but the record: deadline, tenant and where the outcome goes are in it."""
    value = b'{"prompt": "do it", "tenant": "acme", "timeout_ms": 1500}'
    _, batch = folded(request(value), planned(call("e", effect="effectful")))
    (written,) = batch.records
    requested = TOOL_CALLS.decode(written.value)
    assert isinstance(requested, ToolCallRequested)
    assert (written.topic, written.key) == ("tool-calls-search", b"e")
    assert (requested.deadline_at, requested.tenant, requested.turn) == (at(1500), "acme", 1)
    assert requested.reply_to == ReplyTo(topic="run-events", partition=3)


def test_turns_and_responses_stay_on_the_partition_of_the_run() -> None:
    """Affinity is carried: whatever the key hashes to, the run's records lie together."""
    runs, batch = folded(request(), planned("a"), succeeded("a"))
    (turn,) = batch.records
    assert (turn.topic, turn.partition, turn.key) == ("turns", 3, RUN.encode())
    assert not isinstance(TURNS.decode(turn.value), Malformed)
    _, batch = folded(answered("done"), into=runs)
    (response,) = batch.records
    assert (response.topic, response.partition, response.key) == ("responses", 3, RUN.encode())


def test_the_trace_of_the_request_goes_through_every_hop() -> None:
    """A worker's own trace does not replace it, and a response long after still carries it."""
    traced = replace(request(), headers=((TRACEPARENT, TRACE),))
    other = ((TRACEPARENT, TRACE.replace(b"b7", b"c8")),)
    runs, _ = folded(traced, record(planned("a"), headers=other))
    _, batch = folded(record(succeeded("a"), headers=other), record(answered("done"), headers=other), into=runs)
    assert {header(written, TRACEPARENT) for written in batch.records} == {TRACE.decode()}


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"{", "not JSON"),
        (None, "null"),
        (b"[]", "not a JSON object but an array"),
        (b'{"type": "run.finished"}', "'run.finished' is not read here"),
        (b'{"type": "plan.created", "correlation_id": "r"}', "turn: Field required"),
    ],
)
def test_a_record_that_cannot_be_read_becomes_a_dead_letter_and_is_passed(value: bytes | None, cause: str) -> None:
    """Its bytes, its cause and where it lay are kept, and the partition moves on."""
    runs, batch = folded(record(value, offset=7, key=b"k"))
    (written,) = batch.records
    assert (written.topic, written.key, written.value) == ("dead-letters", b"k", value)
    assert cause in header(written, "dlq-cause")
    assert (header(written, "dlq-topic"), header(written, "dlq-partition"), header(written, "dlq-offset")) == (
        "run-events",
        "3",
        "7",
    )
    assert batch.offsets == {"run-events": 8}
    assert (batch.rows, len(runs)) == ({}, 0)


def test_a_request_that_nobody_can_be_told_about_becomes_a_dead_letter() -> None:
    """No JSON and no key: there is no id to answer to."""
    _, batch = folded(request(b"\xff\xfe", key=None))
    (written,) = batch.records
    assert written.topic == "dead-letters"


def test_an_identifiable_bad_request_is_rejected_and_not_buried() -> None:
    """Whoever can be told is told, once."""
    runs, batch = folded(request(b'{"prompt": 5}'), request(b'{"prompt": 5}'))
    response = only_response(batch)
    assert (response.status, response.correlation_id) == ("rejected", RUN)
    assert response.error is not None
    assert "prompt" in response.error.message
    assert [written.topic for written in batch.records] == ["responses", "dead-letters"]
    assert isinstance(runs.get(RUN), FinishedRow)


def test_a_bad_request_under_the_id_of_a_run_is_buried_and_the_run_goes_on() -> None:
    """The id is taken, so there can be no second response; the bytes are not lost."""
    runs, batch = folded(request(), request(b"{"))
    (written,) = batch.records
    assert "already names a run" in header(written, "dlq-cause")
    assert isinstance(runs.get(RUN), OpenRun)


def test_a_repeated_request_is_neither_answered_nor_buried() -> None:
    """A redelivery is nobody's fault."""
    _, batch = folded(request(), request())
    assert batch.records == []


def test_a_fault_while_reading_a_record_is_buried_with_it() -> None:
    """A broker time that no calendar holds is nothing we thought of: the record is passed all the same."""
    _, batch = folded(replace(request(), timestamp_ms=10**17, offset=90))
    (written,) = batch.records
    assert "internal error" in header(written, "dlq-cause")
    assert (batch.rows, batch.offsets) == ({}, {"requests": 91})


def test_a_fault_of_ours_in_one_run_leaves_its_state_and_the_partition_alone() -> None:
    """A plan can name a tool that no topic can be named after: half a transition is never kept, and the run goes on."""
    runs, _ = folded(request())
    before = runs.get(RUN)
    nameless = call("e", effect="effectful").model_copy(update={"tool": "???"})
    _, batch = folded(planned(nameless), into=runs)
    (written,) = batch.records
    assert "TopicNameInvalid" in header(written, "dlq-cause")
    assert runs.get(RUN) is before
    assert batch.rows == {}
    _, batch = folded(cancelled(), into=runs)
    assert only_response(batch).status == "cancelled"


@pytest.mark.parametrize("value", [None, b"x" * 1_000_000])
def test_a_strange_trace_header_is_no_trace(value: bytes | None) -> None:
    """Kafka allows a null header and one of any size: neither stops the partition nor grows every record of the run."""
    odd = replace(request(), headers=((TRACEPARENT, value),))
    runs, batch = folded(odd)
    run = runs.get(RUN)
    assert isinstance(run, OpenRun)
    assert run.row.traceparent is None
    assert batch.records == []


def test_a_dead_letter_fits_into_a_record_whatever_the_record_was() -> None:
    """Compressed, a record may hold any amount; its dead letter is cut, and says how much there was."""
    huge = record(b"x" * 9_000_000, key=b"k" * 9_000_000, headers=(("h", b"v" * 9_000_000), ("n", None)))
    _, batch = folded(huge)
    (written,) = batch.records
    assert written.size + sum(len(value or b"") for _, value in written.headers) < 4 * 1024 * 1024
    assert header(written, "dlq-cut-from-bytes") == "9000000"
    assert header(written, "dlq-key-cut-from-bytes") == "9000000"
    assert header(written, "dlq-headers-left-out-bytes") == "9000002"
    assert "h" not in dict(written.headers)


def test_an_outcome_too_large_for_a_row_fails_its_call() -> None:
    """The run does not wait for a result that can never be kept."""
    oversize = succeeded("a", "x" * MAX_EVENT_BYTES)
    runs, batch = folded(request(b'{"prompt": "do it", "mode": "results"}'), planned("a"), oversize)
    response = only_response(batch)
    assert response.status == "failed"
    assert response.error is not None
    assert response.error.code == FailureCode.RESULT_TOO_LARGE
    assert isinstance(runs.get(RUN), FinishedRow)


def test_a_plan_too_large_for_a_row_becomes_a_dead_letter() -> None:
    """It cannot be kept, and there is no call to fail: the deadline ends the run."""
    _, batch = folded(request(), planned("a", text="x" * MAX_EVENT_BYTES))
    (written,) = batch.records
    assert written.topic == "dead-letters"
    assert "1,048,576" in header(written, "dlq-cause")


def test_a_table_loaded_from_its_rows_is_the_table_that_wrote_them() -> None:
    """After a crash the next owner goes on where the last commit was, with the same response."""
    first, batch = folded(request(), planned("a", "b"), succeeded("a", {"n": 1}))
    kept = {name: row for name, row in batch.rows.items() if row is not None}
    loaded = table(runs_of(kept.values()))
    assert len(loaded) == 1
    assert loaded.get(RUN) == first.get(RUN)
    run = first.get(RUN)
    assert run is not None
    assert rows_of({RUN: run}) == kept
    last = record(failed("b"), ms=70)
    assert folded(last, into=first)[1].records == folded(last, into=loaded)[1].records


def test_rows_of_open_runs_are_a_run_and_its_calls() -> None:
    """No row holds the whole run."""
    _, batch = folded(request(), planned("a"))
    assert [type(row) for row in batch.rows.values()] == [RunRow, CallRow]


def test_a_run_is_due_at_its_deadline_and_once() -> None:
    """The fact is addressed to the run's own partition of `run-events`, and decides nothing until it is read back."""
    runs, _ = folded(request(b'{"prompt": "do it", "timeout_ms": 100}'))
    assert runs.due(at(99)) == []
    (written,) = runs.due(at(100))
    assert (written.topic, written.partition, written.key) == ("run-events", 3, RUN.encode())
    assert RUN_EVENTS.decode(written.value) == DeadlineReached(correlation_id=RUN, deadline_at=at(100))
    assert runs.due(at(101)) == []
    assert isinstance(runs.get(RUN), OpenRun)


def test_a_request_without_a_timeout_gets_the_default() -> None:
    """The deadline counts from the broker's time of the request."""
    runs, _ = folded(request(ms=500))
    assert runs.deadlines.next() == at(60_500)


def test_a_run_that_has_ended_is_never_due() -> None:
    """Its deadline passes in silence."""
    runs, _ = folded(request(), answered("done", turn=1))
    assert runs.due(at(1e9)) == []


def test_a_loaded_run_is_due_as_if_its_owner_had_never_died() -> None:
    """Deadlines are in the rows: a restart forgets none."""
    _, batch = folded(request(), answered("done", turn=1), request(key=b"run-2"))
    loaded = table(runs_of(row for row in batch.rows.values() if row is not None))
    assert loaded.deadlines.next() == at(60_000)
    (written,) = loaded.due(at(60_000))
    assert written.key == b"run-2"


def test_repeated_requests_are_watched_once() -> None:
    """One deadline fact per run."""
    runs, _ = folded(request(), request(), planned("a"))
    assert len(runs.due(at(1e9))) == 1


def test_submissions_agree_with_what_the_planner_reads() -> None:
    """Both read a request with the same function; here is the aggregator's side of it."""
    runs, _ = folded(request())
    run = runs.get(RUN)
    assert isinstance(run, OpenRun)
    assert run.row.request == submitted().request
    assert (run.row.submitted_at, run.row.deadline_at) == (submitted().submitted_at, submitted().deadline_at)


def test_a_call_of_a_tool_without_a_topic_fails_instead_of_stopping_the_partition() -> None:
    """Writing to a topic that is not there waits in vain: the failure is a fact on the log, as any other outcome."""
    runs = Table(3, ROUTES, 60_000, {}, set())
    _, batch = folded(request(), planned(call("e", effect="effectful")), into=runs)
    (written,) = batch.records
    assert (written.topic, written.partition) == ("run-events", 3)
    outcome = RUN_EVENTS.decode(written.value)
    assert isinstance(outcome, ToolCallFailed)
    assert (outcome.call_id, outcome.error.code) == ("e", FailureCode.UNKNOWN_TOOL)


def test_a_deadline_announced_too_early_is_announced_again_in_time() -> None:
    """Only the broker's clock decides. An owner whose clock is ten seconds ahead is told by the difference."""
    runs, _ = folded(request(b'{"prompt": "do it", "timeout_ms": 60000}'))
    (early,) = runs.due(at(60_000))
    _, batch = folded(record(early.value, ms=50_000), into=runs)
    assert batch.records == []
    assert runs.due(at(69_999)) == []
    (again,) = runs.due(at(70_000))
    _, batch = folded(record(again.value, ms=60_000), into=runs)
    assert only_response(batch).status == "timed_out"


def test_what_stays_of_a_finished_run_is_forgotten_after_a_day() -> None:
    """Until then a repetition changes nothing; the rule keeps memory and changelog bounded."""
    day = 24 * 60 * 60 * 1000
    runs, _ = folded(request(b'{"prompt": "do it", "mode": "results"}'), planned("a"), succeeded("a"))
    other = record(b'{"prompt": "x"}', topic="requests", key=b"other", ms=day)
    _, batch = folded(other, into=runs)
    assert isinstance(runs.get(RUN), FinishedRow)
    later = record(b'{"prompt": "x"}', topic="requests", key=b"another", ms=day + 1000)
    _, batch = folded(later, into=runs)
    assert runs.get(RUN) is None
    assert batch.rows[RUN] is None
    assert len(runs) == 2


def test_what_run_events_have_opened_is_forgotten_when_its_request_never_comes() -> None:
    """A stray event id costs memory for a day, and not for ever; an open run is never forgotten."""
    day = 24 * 60 * 60 * 1000
    runs, _ = folded(request(), record(planned("a", "b"), key=b"stray"))
    stray = record(succeeded("x").model_copy(update={"correlation_id": "stray"}))
    folded(stray, into=runs)
    _, batch = folded(record(b'{"prompt": "x"}', topic="requests", key=b"later", ms=2 * day), into=runs)
    assert runs.get("stray") is None
    assert {key for key, row in batch.rows.items() if row is None} == {"stray", row_key("stray", "x")}
    assert isinstance(runs.get(RUN), OpenRun)
