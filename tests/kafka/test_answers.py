"""From a request to its response, on a real broker: ids, turns, and calls that start early."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio

from agents.tools.tool import tool
from schemas.base import timestamp_from_ms
from tests.support.pipeline import Pipeline, call, read, results, running, script

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = script(
    (r"^say (?P<text>\w+)$", [{"calls": [call("echo", text="{text}")]}, {"answer": "It said {results[0]}."}]),
    (
        r"^double (?P<n>\d+) twice$",
        [
            {"calls": [call("double", n="{n:int}")]},
            {"calls": [call("double", n="{results[0]:json}")]},
            {"answer": "That is {results[0]}."},
        ],
    ),
    ("^five naps$", [{"per_call_ms": 80, "calls": [call("nap", ms=500) for _ in range(5)]}, {"answer": "Rested."}]),
)


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@tool
def double(n: int) -> int:
    """Return twice the number."""
    return 2 * n


@tool
async def nap(ms: int) -> int:
    """Sleep."""
    await asyncio.sleep(ms / 1000)
    return ms


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(kafka: str, module_prefix: str) -> AsyncIterator[Pipeline]:
    """One of each role, shared by the tests of this module."""
    async with running(kafka, module_prefix, SCRIPT, [echo, double, nap]) as pipeline:
        yield pipeline


async def test_the_smallest_request_is_answered_under_the_id_of_its_position(pipeline: Pipeline) -> None:
    """A prompt and nothing else, no key, no id: topic, partition and offset name the run."""
    sent = await pipeline.submit(b'{"prompt": "say hello"}')
    response = await pipeline.response(f"{pipeline.routes.requests}-{sent.partition}-{sent.offset}")
    assert response["status"] == "completed"
    assert response["answer"] == "It said hello."
    assert results(response) == ["hello"]
    assert response["tenant"] == "default"
    assert response["user_id"] is None


@pytest.mark.parametrize(
    ("key", "body_id", "expected"),
    [(b"by-key", None, "by-key"), (None, "by-body", "by-body"), (b"not-this", "by-body-2", "by-body-2")],
)
async def test_the_id_is_that_of_the_body_or_else_the_key(
    pipeline: Pipeline, key: bytes | None, body_id: str | None, expected: str
) -> None:
    """Who names the run finds the response under that name, as its key and in it."""
    body = {"prompt": "say hello"} | ({"correlation_id": body_id} if body_id else {})
    await pipeline.submit(body, key)
    assert (await pipeline.response(expected))["status"] == "completed"
    records = [one for one in pipeline.tape.of(pipeline.routes.responses) if one.key == expected.encode()]
    assert [read(one)["correlation_id"] for one in records] == [expected]


@pytest.mark.parametrize("partition", [0, 1, 2])
async def test_the_response_is_on_the_partition_number_of_its_request(pipeline: Pipeline, partition: int) -> None:
    """Whatever partitioner a client has: a run lives where its request is, and so does everything about it."""
    name = f"on-{partition}"
    await pipeline.submit({"prompt": "say hello"}, name.encode(), partition)
    await pipeline.response(name)
    for topic in (pipeline.routes.run_events, pipeline.routes.turns, pipeline.routes.responses):
        found = [one for one in pipeline.tape.of(topic) if one.key == name.encode()]
        assert found
        assert {one.partition for one in found} == {partition}


async def test_what_came_with_the_request_comes_back(pipeline: Pipeline) -> None:
    """Metadata, user and tenant are echoed; the trace is carried; the response is a CloudEvent in binary mode."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    value = b'{"prompt": "say hello", "user_id": "u", "tenant": "t", "metadata": {"order": [1, {"a": null}]}, "new": 1}'
    headers = [("traceparent", trace)]
    await pipeline.producer.send_and_wait(pipeline.routes.requests, value, key=b"echoed", headers=headers)
    response = await pipeline.response("echoed")
    assert (response["user_id"], response["tenant"]) == ("u", "t")
    assert response["metadata"] == {"order": [1, {"a": None}]}
    record = next(one for one in pipeline.tape.of(pipeline.routes.responses) if one.key == b"echoed")
    assert dict(record.headers)["traceparent"] == trace
    assert dict(record.headers)["ce_type"] == b"run.finished"
    calls = pipeline.tape.of(pipeline.routes.tool_topic("echo"))
    assert trace in {dict(one.headers).get("traceparent") for one in calls}


async def test_a_second_turn_sees_the_results_of_the_first(pipeline: Pipeline) -> None:
    """The model is asked again with what came of its calls, and its further calls belong to the same run."""
    response = await pipeline.ask("double 4 twice")
    assert response["status"] == "completed"
    assert [(one["turn"], one["arguments"], one["result"]) for one in response["results"]] == [
        (1, {"n": 4}, 8),
        (2, {"n": 8}, 16),
    ]
    assert response["answer"] == "That is 16."
    assert response["turns"] == 3


async def test_five_calls_of_half_a_second_end_within_one_and_a_half(pipeline: Pipeline) -> None:
    """They run at the same time, though the model needs 400 ms to write all five, and equal calls are five calls."""
    start = time.perf_counter()
    response = await pipeline.ask("five naps")
    assert time.perf_counter() - start < 1.5
    assert response["duration_ms"] < 1500
    assert results(response) == [500] * 5
    assert len({one["call_id"] for one in response["results"]}) == 5


async def test_calls_start_before_the_plan_is_complete(pipeline: Pipeline) -> None:
    """A call runs as soon as its arguments are written, while the model is still writing the next ones."""
    response = await pipeline.ask("five naps")
    events = pipeline.tape.of(pipeline.routes.run_events)
    plan = next(
        one for one in events if one.key == response["correlation_id"].encode() and b"plan.created" in one.value
    )
    assert all(one["dispatched"] for one in read(plan)["calls"])
    first = min(datetime.fromisoformat(one["started_at"]) for one in response["results"])
    assert timestamp_from_ms(plan.timestamp) - first > timedelta(milliseconds=200)


async def test_a_request_for_results_ends_after_one_turn(pipeline: Pipeline) -> None:
    """Mode `results` needs no answer of the model."""
    response = await pipeline.ask("say hello", mode="results")
    assert response["status"] == "completed"
    assert (response["turns"], response["answer"], results(response)) == (1, None, ["hello"])


async def test_nobody_was_answered_twice(pipeline: Pipeline) -> None:
    """After all of the above has settled there is one response for each request, and no dead letter."""
    await pipeline.settled()
    assert {len(found) for found in pipeline.responses().values()} == {1}
    assert len(pipeline.responses()) == len(pipeline.tape.of(pipeline.routes.requests))
    assert not pipeline.tape.of(pipeline.routes.dead_letters)
