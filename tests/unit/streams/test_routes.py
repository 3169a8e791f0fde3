"""Promises of the routes: where each record goes, under which key and with which headers."""

from __future__ import annotations

from typing import get_args

import orjson
import pytest

from schemas.codec import Malformed
from schemas.control import DeadlineReached
from schemas.events import CODECS, RESPONSES, RUN_EVENTS
from schemas.run import RunFinished
from schemas.tool_call import ReplyTo, ToolCallRequested
from schemas.topics import TopicNameInvalid
from schemas.turn import TurnRequested
from streams import topology
from streams.routes import MAX_DEAD_LETTER_BYTES, Outgoing, Routes
from tests.support.facts import (
    RUN,
    START,
    answered,
    at,
    deadline,
    failed,
    plan_failed,
    planned,
    submitted,
    succeeded,
    tell,
)
from tests.support.records import record

ROUTES = Routes("team-a.")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CALL = ToolCallRequested(
    correlation_id=RUN,
    call_id="c-1",
    turn=1,
    tool="Get_Weather",
    arguments={},
    deadline_at=START,
    reply_to=ReplyTo(topic="elsewhere", partition=4),
)


def response() -> RunFinished:
    """Return some response."""
    return tell(submitted(), answered("done", turn=1)).response


def turn() -> TurnRequested:
    """Return some further turn."""
    (requested,) = tell(submitted(), planned("a"), succeeded("a")).turns
    return requested


def headers(written: Outgoing) -> dict[str, bytes | None]:
    """Return the headers by name; none comes twice."""
    assert len(dict(written.headers)) == len(written.headers)
    return dict(written.headers)


def test_the_prefix_is_before_every_topic_group_and_transactional_id() -> None:
    """Two installations on one cluster share nothing."""
    names = [ROUTES.requests, ROUTES.turns, ROUTES.run_events, ROUTES.responses, ROUTES.runs_changelog]
    names += [ROUTES.dead_letters, ROUTES.tool_topic("x"), ROUTES.transactional_id(3)]
    names += [ROUTES.group(role, toolset="default") for role in topology.ROLES]
    assert all(name.startswith("team-a.") for name in names)
    assert len(set(names)) == len(names)
    assert Routes("").requests == "requests"


def test_a_transactional_id_is_the_same_for_every_owner_of_a_partition() -> None:
    """That is what makes a new owner fence the old one."""
    assert ROUTES.transactional_id(3) == Routes("team-a.").transactional_id(3)
    assert ROUTES.transactional_id(3) != ROUTES.transactional_id(13)


def test_a_name_that_kafka_refuses_is_refused_here() -> None:
    """Before a role waits for a topic that cannot be."""
    with pytest.raises(TopicNameInvalid):
        Routes("no spaces ")


def test_a_call_goes_to_its_tool_under_its_call_id() -> None:
    """A repetition meets the worker that remembers it; the key alone decides the partition."""
    written = ROUTES.call(CALL, TRACE)
    assert (written.topic, written.key, written.partition) == ("team-a.tool-calls-get-weather", b"c-1", None)


def test_an_outcome_goes_where_its_call_says() -> None:
    """To that very topic and partition, whatever this process would have chosen."""
    written = ROUTES.outcome(CALL, succeeded("c-1"), TRACE)
    assert (written.topic, written.partition, written.key) == ("elsewhere", 4, RUN.encode())
    assert RUN_EVENTS.decode(written.value) == succeeded("c-1")


@pytest.mark.parametrize("plan", [planned("a"), plan_failed()])
def test_a_plan_goes_to_the_partition_of_its_run(plan: object) -> None:
    """Success or failure."""
    assert isinstance(plan, get_args(type(planned("a")) | type(plan_failed())))
    written = ROUTES.plan(plan, ROUTES.reply_to(5), None)
    assert (written.topic, written.partition, written.key) == ("team-a.run-events", 5, RUN.encode())


def test_turns_responses_and_deadlines_carry_the_partition() -> None:
    """Affinity is carried and never recomputed from the key."""
    reached = DeadlineReached(correlation_id=RUN, deadline_at=at(1))
    written = [ROUTES.turn(turn(), 2, None), ROUTES.response(response(), 2, None), ROUTES.deadline(reached, 2)]
    assert [one.topic for one in written] == ["team-a.turns", "team-a.responses", "team-a.run-events"]
    assert {(one.partition, one.key) for one in written} == {(2, RUN.encode())}


def test_every_record_says_that_it_is_json_and_carries_its_trace() -> None:
    """And none carries an empty trace."""
    for trace in (TRACE, None):
        for written in (
            ROUTES.call(CALL, trace),
            ROUTES.outcome(CALL, failed("c-1"), trace),
            ROUTES.plan(planned(), ROUTES.reply_to(0), trace),
            ROUTES.turn(turn(), 0, trace),
            ROUTES.response(response(), 0, trace),
        ):
            assert headers(written)["content-type"] == b"application/json"
            assert headers(written).get("traceparent") == (TRACE.encode() if trace else None)
            assert isinstance(orjson.loads(written.value or b""), dict)


def test_a_response_is_a_cloud_event() -> None:
    """Binary mode: attributes in the headers, the value as it is."""
    written = ROUTES.response(response(), 0, None)
    found = headers(written)
    assert found["ce_specversion"] == b"1.0"
    assert found["ce_id"] == RUN.encode()
    assert found["ce_source"] == b"async-toolformer-orchestrator/aggregator"
    assert found["ce_type"] == b"run.finished"
    assert found["ce_time"] == b"2026-11-23T12:00:00.010Z"
    assert RESPONSES.decode(written.value) == response()


@pytest.mark.parametrize("value", [b"\xff\x00{", b"", None])
@pytest.mark.parametrize("key", [b"\xfe", b"", None])
def test_a_dead_letter_is_the_record_as_it_was(value: bytes | None, key: bytes | None) -> None:
    """Bytes, key and headers, null ones included, with the cause and the place added.

    A record with neither key nor value cannot be written by every client: its null value is a header then.
    """
    source = record(value, topic="team-a.turns", key=key, offset=12, headers=(("own", b"\xff"), ("null", None)))
    written = ROUTES.dead_letter(source, "not JSON: é")
    nothing = key is None and value is None
    assert (written.topic, written.key, written.partition) == ("team-a.dead-letters", key, None)
    assert written.value == (b"" if nothing else value)
    assert headers(written) == {
        **({"dlq-value": b"null"} if nothing else {}),
        "own": b"\xff",
        "null": None,
        "dlq-cause": "not JSON: é".encode(),
        "dlq-topic": b"team-a.turns",
        "dlq-partition": b"3",
        "dlq-offset": b"12",
    }


def test_a_dead_letter_keeps_all_that_fits() -> None:
    """It is cut only when no record could hold it, and then says how large it was."""
    whole = ROUTES.dead_letter(record(b"x" * MAX_DEAD_LETTER_BYTES), "cause")
    cut = ROUTES.dead_letter(record(b"x" * (MAX_DEAD_LETTER_BYTES + 1)), "cause")
    assert len(whole.value or b"") == len(cut.value or b"") == MAX_DEAD_LETTER_BYTES
    assert "dlq-cut-from-bytes" not in headers(whole)
    assert headers(cut)["dlq-cut-from-bytes"] == str(MAX_DEAD_LETTER_BYTES + 1).encode()


def test_what_is_written_can_be_read_by_the_codec_of_its_topic() -> None:
    """Writers and readers agree."""
    for written in (
        ROUTES.plan(planned("a"), ROUTES.reply_to(0), None),
        ROUTES.turn(turn(), 0, None),
        ROUTES.response(response(), 0, None),
        ROUTES.deadline(deadline(), 0),
    ):
        codec = CODECS[written.topic.removeprefix("team-a.")]
        assert not isinstance(codec.decode(written.value), Malformed)
