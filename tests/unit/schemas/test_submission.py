"""Promises of reading a request: whose it is, what is wrong with it, and whether anybody can be told."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.base import MAX_ID_CHARACTERS, Id
from schemas.codec import encode
from schemas.failure import FailureCode
from schemas.record import MAX_TRACEPARENT_BYTES, TRACEPARENT
from schemas.request import MAX_REQUEST_BYTES, MAX_TIMEOUT_MS, RequestSubmitted
from schemas.submission import Rejection, Submission, Unidentified, read_submission
from tests.support.facts import START, at
from tests.support.records import record

ID: TypeAdapter[str] = TypeAdapter(Id)


def read(value: bytes | None, key: bytes | None = None) -> Submission | Rejection | Unidentified:
    """Read a record of `requests` at offset 41 of partition 3."""
    return read_submission(record(value, topic="requests", key=key, offset=41), 60_000)


def accepted(value: bytes, key: bytes | None = None) -> Submission:
    """Read a record that must be accepted."""
    submission = read(value, key)
    assert isinstance(submission, Submission), submission
    return submission


def refused(value: bytes | None, key: bytes | None = None) -> Rejection:
    """Read a record that must be rejected."""
    rejection = read(value, key)
    assert isinstance(rejection, Rejection), rejection
    return rejection


def test_the_smallest_request_has_every_default() -> None:
    """`{"prompt": "..."}` is enough."""
    submission = accepted(b'{"prompt": "hello"}')
    request = submission.request
    assert (request.tenant, request.mode, request.max_turns, request.metadata) == ("default", "answer", 8, {})
    assert (request.model, request.tools, request.user_id, request.timeout_ms) == (None, None, None, None)
    assert (submission.submitted_at, submission.deadline_at) == (START, at(60_000))
    assert submission.traceparent is None


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (b'{"prompt": "x", "correlation_id": "body"}', b"key", "body"),
        (b'{"prompt": "x", "correlation_id": null}', b"key", "key"),
        (b'{"prompt": "x"}', b"key", "key"),
        (b'{"prompt": "x"}', "schlüssel-日本".encode(), "schlüssel-日本"),
        (b'{"prompt": "x"}', None, "requests-3-41"),
        (b'{"prompt": "x"}', b"", "requests-3-41"),
        (b'{"prompt": "x"}', b"\xff\xfe", "requests-3-41"),
        (b'{"prompt": "x"}', b"\x00\x00\x00\x07", "requests-3-41"),
        (b'{"prompt": "x"}', b"two\nlines", "requests-3-41"),
        (b'{"prompt": "x"}', b"k" * (MAX_ID_CHARACTERS + 1), "requests-3-41"),
        (b'{"prompt": "x"}', b"k" * 10_000_000, "requests-3-41"),
        (b'{"prompt": "x"}', b"k" * MAX_ID_CHARACTERS, "k" * MAX_ID_CHARACTERS),
    ],
)
def test_the_id_is_the_bodys_else_the_key_else_the_place(value: bytes, key: bytes | None, expected: str) -> None:
    """A key that can be no id is no fault of the request: many producers put anything there."""
    assert accepted(value, key).correlation_id == expected


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "prompt: Field required"),
        ({"prompt": ""}, "prompt: is empty: say what to do"),
        ({"prompt": " \n\t"}, "prompt: is empty: say what to do"),
        ({"prompt": 5}, "prompt: Input should be a valid string"),
        ({"prompt": None}, "prompt: "),
        ({"prompt": ["x"]}, "prompt: "),
        ({"prompt": "x", "max_turns": 0}, "max_turns: "),
        ({"prompt": "x", "max_turns": 101}, "max_turns: "),
        ({"prompt": "x", "max_turns": "8"}, "max_turns: "),
        ({"prompt": "x", "timeout_ms": 0}, "timeout_ms: "),
        ({"prompt": "x", "timeout_ms": MAX_TIMEOUT_MS + 1}, "timeout_ms: "),
        ({"prompt": "x", "timeout_ms": True}, "timeout_ms: "),
        ({"prompt": "x", "mode": "chat"}, "mode: "),
        ({"prompt": "x", "tools": "calculate"}, "tools: "),
        ({"prompt": "x", "tools": ["../x"]}, "tools.0: "),
        ({"prompt": "x", "tenant": ""}, "tenant: "),
        ({"prompt": "x", "metadata": []}, "metadata: "),
        ({"prompt": "x", "metadata": None}, "metadata: "),
        ({"prompt": "x", "correlation_id": ""}, "correlation_id: "),
        ({"prompt": "x", "correlation_id": "a\nb"}, "correlation_id: "),
        ({"prompt": "x", "correlation_id": 7}, "correlation_id: "),
        ({"prompt": "x", "type": "run.finished"}, "type 'run.finished' is not read here"),
        ({"prompt": "x", "v": 2}, "v: "),
    ],
)
def test_an_invalid_request_is_rejected_under_its_key_with_its_reason(fields: dict[str, object], problem: str) -> None:
    """Whoever sent it reads what to change."""
    rejection = refused(orjson.dumps(fields), b"key")
    assert rejection.correlation_id == "key"
    assert rejection.error.code == FailureCode.INVALID_REQUEST
    assert rejection.error.message.startswith(problem)
    assert rejection.submitted_at == START


def test_a_deep_request_is_rejected_and_not_read() -> None:
    """What nests deeper than can be written again is refused, with what to do."""
    deep = b'{"prompt": "x", "metadata": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}"
    assert "flatten it" in refused(deep).error.message


@pytest.mark.parametrize("value", [b"{", b"\xff", b"[]", b"null", b"7", None, b""])
def test_bytes_that_are_no_object_are_rejected_under_their_key_or_identify_nobody(value: bytes | None) -> None:
    """With a key there is someone to tell; without one the bytes go to dead-letters."""
    assert refused(value, b"key").correlation_id == "key"
    nobody = read(value)
    assert isinstance(nobody, Unidentified)
    assert nobody.reason
    assert isinstance(read(value, b"\xff"), Unidentified)


@pytest.mark.parametrize(
    ("body", "key", "expected"),
    [
        ({"correlation_id": "body"}, b"key", "body"),
        ({"correlation_id": "a\nb"}, b"key", "key"),
        ({"correlation_id": "x" * 201}, None, "requests-3-41"),
        ({"correlation_id": {"id": 1}}, None, "requests-3-41"),
        ({}, None, "requests-3-41"),
    ],
)
def test_an_invalid_object_is_rejected_under_the_best_id_it_has(
    body: dict[str, object], key: bytes | None, expected: str
) -> None:
    """Its own id when it is usable: its sender waits for exactly that one."""
    assert refused(orjson.dumps(body), key).correlation_id == expected


def test_a_request_is_measured_in_bytes_of_json() -> None:
    """The broker counts compressed bytes, so it bounds nothing; 1e15 is written as 1000000000000000.0."""
    frame = len(encode(RequestSubmitted(prompt="x"))) - 1
    fits = b'{"prompt":"%s"}' % (b"x" * (MAX_REQUEST_BYTES - frame))
    assert isinstance(read(fits), Submission)
    rejection = refused(b'{"prompt":"%s"}' % (b"x" * (MAX_REQUEST_BYTES - frame + 1)), b"key")
    assert (rejection.correlation_id, rejection.error.code) == ("key", FailureCode.REQUEST_TOO_LARGE)
    assert "1,048,577 bytes, the limit is 1,048,576" in rejection.error.message
    short = b'{"prompt":"x","metadata":{"n":[%s]}}' % b",".join([b"1e15"] * (MAX_REQUEST_BYTES // 10))
    assert len(short) < MAX_REQUEST_BYTES
    assert refused(short, b"key").error.code == FailureCode.REQUEST_TOO_LARGE
    named = b'{"correlation_id":"body","prompt":"%s"}' % (b"x" * MAX_REQUEST_BYTES)
    assert refused(named, b"key").correlation_id == "body"


def test_the_deadline_counts_from_the_brokers_time() -> None:
    """However long the record lay, and whatever the sender's clock says."""
    assert accepted(b'{"prompt": "x", "timeout_ms": 250}').deadline_at == at(250)
    assert accepted(b'{"prompt": "x", "timeout_ms": %d}' % MAX_TIMEOUT_MS).deadline_at == at(MAX_TIMEOUT_MS)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        (b"x" * MAX_TRACEPARENT_BYTES, True),
        (b"x" * (MAX_TRACEPARENT_BYTES + 1), False),
        (None, False),
    ],
)
def test_a_trace_is_taken_from_its_header_when_it_can_be_one(header: bytes | None, *, expected: bool) -> None:
    """It goes into every record of the run, so it is bounded; Kafka allows a null header."""
    source = replace(record(b'{"prompt": "x"}'), headers=(("other", None), (TRACEPARENT, header)))
    submission = read_submission(source, 60_000)
    assert isinstance(submission, Submission)
    assert submission.traceparent == (header.decode() if expected and header else None)


@given(st.one_of(st.none(), st.binary(max_size=300)), st.one_of(st.none(), st.binary(max_size=300)))
def test_whatever_key_and_value_are_they_are_one_of_three_and_the_id_is_usable(
    value: bytes | None, key: bytes | None
) -> None:
    """Planner and aggregator agree on every record, hostile ones included; the id can be a key and a row."""
    submission = read(value, key)
    if not isinstance(submission, Unidentified):
        assert ID.validate_python(submission.correlation_id)
    assert read(value, key) == submission


@given(st.binary(max_size=1000))
def test_a_hostile_key_never_keeps_a_good_request_from_running(key: bytes) -> None:
    """The key is somebody else's partitioning, or the id: it is never a reason to reject."""
    submission = accepted(b'{"prompt": "x"}', key)
    assert submission.request == RequestSubmitted(prompt="x")
