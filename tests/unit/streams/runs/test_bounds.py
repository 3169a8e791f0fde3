"""Whatever a run is made of, what is written of it fits into a record: one that does not would stop a partition."""

from __future__ import annotations

import orjson

from schemas.failure import FailureCode
from schemas.plan import MAX_CALLS
from schemas.record import Record
from schemas.request import MAX_REQUEST_BYTES
from streams.kafka.clients import MAX_RECORD_BYTES
from streams.routes import Routes
from streams.runs.reduce import MAX_ORPHANS
from streams.runs.table import MAX_EVENT_BYTES, Batch, Table, encode_rows
from tests.support.facts import RUN, answered, planned, succeeded
from tests.support.records import record, request

GROWING = b"1e15"
"""A number that takes 4 bytes when it is sent and 18 when we write it."""


def largest(batch: Batch) -> int:
    """Return the size of the largest record of a batch, rows included."""
    return max(one.size for one in [*batch.records, *encode_rows(batch.rows, "runs-changelog", 3)])


def largest_request(turns: int) -> Record:
    """Make the largest request that is accepted, of numbers that grow."""
    numbers = b",".join([GROWING] * ((MAX_REQUEST_BYTES - 1000) // 19))
    return request(b'{"prompt":"x","max_turns":%d,"metadata":{"n":[%s]}}' % (turns, numbers))


def folded(table: Table, *records: Record) -> Batch:
    """Fold records one by one and return the batch, having checked that each batch on the way would fit."""
    for one in records:
        table.fold(one)
    batch = table.take_batch()
    assert largest(batch) < MAX_RECORD_BYTES
    return batch


def test_the_largest_request_with_the_largest_results_fits_into_every_record() -> None:
    """Rows, the next turn and the response of a run at all its limits, turn after turn."""
    table = Table(3, Routes(""), 60_000, {}, set())
    folded(table, largest_request(turns=4))
    for turn in (1, 2, 3):
        names = [f"{turn}-{number}" for number in range(8)]
        folded(table, record(planned(*names, turn=turn, text="é" * 400_000)))
        for name in names:
            folded(table, record(succeeded(name, "x" * (MAX_EVENT_BYTES - 1000))))
    ended = folded(table, record(answered("y" * (MAX_EVENT_BYTES - 1000), turn=4)))
    (response,) = [one for one in ended.records if one.topic == "responses"]
    document = orjson.loads(response.value or b"")
    assert (document["status"], len(document["results"])) == ("completed", 24)
    assert document["results"][0]["error"]["code"] == FailureCode.RESULT_TOO_LARGE


def test_a_run_of_the_most_calls_fits() -> None:
    """A thousand calls of nothing are a thousand results."""
    table = Table(3, Routes(""), 60_000, {}, set())
    names = [f"{number:032x}" for number in range(MAX_CALLS)]
    folded(table, largest_request(turns=2), record(planned(*names)))
    batch = folded(table, *(record(succeeded(name, "x" * 2000)) for name in names))
    assert [one.topic for one in batch.records] == ["turns"]


def test_a_run_with_too_many_calls_fails_and_says_why() -> None:
    """Over all its turns: the reader learns it from the response, not from a partition that stands still."""
    table = Table(3, Routes(""), 60_000, {}, set())
    batch = folded(table, request(), record(planned(*(f"{number:032x}" for number in range(MAX_CALLS + 1)))))
    (response,) = batch.records
    document = orjson.loads(response.value or b"")
    assert (document["status"], document["error"]["code"]) == ("failed", "model_failed")
    assert "more than 1,000 calls" in document["error"]["message"]


def test_outcomes_of_calls_that_nobody_planned_are_kept_in_number() -> None:
    """A worker that invents call ids fills neither the memory nor the response."""
    table = Table(3, Routes(""), 60_000, {}, set())
    for number in range(MAX_CALLS + MAX_ORPHANS + 50):
        table.fold(record(succeeded(f"invented-{number}")))
    batch = folded(table, request(), record(answered("done", turn=1)))
    (response,) = batch.records
    assert len(orjson.loads(response.value or b"")["results"]) == MAX_CALLS + MAX_ORPHANS


def test_numbers_that_grow_are_measured_as_they_are_written() -> None:
    """An outcome of 4-byte numbers that we write with 18 bytes each fails its call instead of its partition."""
    outcome = b'{"type":"tool_call.succeeded","correlation_id":"%s","call_id":"a","result":[%s]}'
    numbers = b",".join([GROWING] * (MAX_EVENT_BYTES // 6))
    table = Table(3, Routes(""), 60_000, {}, set())
    folded(table, request(), record(planned("a")))
    folded(table, record(outcome % (RUN.encode(), numbers)))
    batch = folded(table, record(answered("done")))
    document = orjson.loads(batch.records[0].value or b"")
    assert document["results"][0]["error"]["code"] == FailureCode.RESULT_TOO_LARGE
