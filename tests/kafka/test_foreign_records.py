"""Records as other clients write them: compressed by any codec, with header names of any bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from agents.tools.tool import tool
from schemas.codec import encode
from schemas.rows import FinishedRow
from streams.runs.changelog import load_runs
from tests.support.facts import at
from tests.support.pipeline import Pipeline, call, running, script
from tests.support.raw_batch import CODECS, produce_raw, raw_batch

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = script(("^say$", [{"calls": [call("echo", text="well")]}, {"answer": "{results[0]}"}]))
NAMES = [(b"\xff\xfe", b"1"), (b"traceparent", b"\xff"), (b"caf\xe9", None)]


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(kafka: str, module_prefix: str) -> AsyncIterator[Pipeline]:
    """One of each role, shared by the tests of this module: what the tests before it left behind must not matter."""
    async with running(kafka, module_prefix, SCRIPT, [echo]) as pipeline:
        yield pipeline


async def assert_moves_on(pipeline: Pipeline, partition: int) -> None:
    """Check that a good request on the same partition is answered, by all roles."""
    sent = await pipeline.submit({"prompt": "say"}, partition=partition)
    response = await pipeline.response(f"{sent.topic}-{sent.partition}-{sent.offset}")
    assert (response["status"], response["answer"]) == ("completed", "well")


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
async def test_requests_may_be_compressed_by_every_codec_of_kafka(pipeline: Pipeline, kafka: str, codec: str) -> None:
    """A client chooses its codec; nobody asks the reader."""
    body = json.dumps({"prompt": "say", "metadata": {"padding": "x" * 2000}}).encode()
    async with AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec, linger_ms=50) as producer:
        keys = [f"{codec}-{number}".encode() for number in range(3)]
        confirmations = [
            await producer.send(pipeline.routes.requests, body, key=key, partition=number % 2)
            for number, key in enumerate(keys)
        ]
        for confirmation in confirmations:
            await confirmation
    for key in keys:
        response = await pipeline.response(key.decode())
        assert (response["status"], response["answer"]) == ("completed", "well")


@pytest.mark.parametrize("codec", list(CODECS))
async def test_a_request_whose_header_names_are_no_text_is_run_like_any_other(pipeline: Pipeline, codec: str) -> None:
    """Nothing depends on the names of other people's headers; the requests beside it in the batch are run, too."""
    keys = [f"names-{codec}-{number}".encode() for number in range(3)]
    records = [(key, b'{"prompt": "say"}', NAMES if number == 1 else []) for number, key in enumerate(keys)]
    await produce_raw(pipeline.producer, pipeline.routes.requests, 0, raw_batch(*records, codec=codec))
    for key in keys:
        assert (await pipeline.response(key.decode()))["status"] == "completed"
    await assert_moves_on(pipeline, 0)


@pytest.mark.parametrize("name", ["requests", "run-events", "turns", "tool-calls-echo"])
async def test_an_unreadable_record_with_such_names_is_a_dead_letter(pipeline: Pipeline, name: str) -> None:
    """Its key and value are put aside as they were, and every role that reads the topic moves on."""
    value, key = b"\x00no JSON on " + name.encode(), b"\xfe" + name.encode()
    topic = pipeline.routes.topic(name)
    offset = await produce_raw(pipeline.producer, topic, 1, raw_batch((key, value, NAMES)))
    letter = await pipeline.dead_letter(value)
    headers = dict(letter.headers)
    assert letter.key == key
    assert (headers["dlq-topic"].decode(), headers["dlq-offset"]) == (topic, str(offset).encode())
    assert headers["\ufffd\ufffd"] == b"1"
    await assert_moves_on(pipeline, 1)


async def test_a_changelog_with_such_names_can_be_loaded(pipeline: Pipeline, kafka: str) -> None:
    """Whoever wrote there, it must not keep a partition of the table from being opened again."""
    row = encode(FinishedRow(correlation_id="loaded", status="completed", finished_at=at(0)))
    topic = pipeline.routes.runs_changelog
    await produce_raw(pipeline.producer, topic, 2, raw_batch((b"loaded", row, NAMES)))
    assert "loaded" in await load_runs({"bootstrap_servers": kafka}, topic, 2)


async def test_nothing_of_it_was_lost_or_doubled(pipeline: Pipeline) -> None:
    """After all of the above has settled, every request has one response."""
    await pipeline.settled()
    assert {len(found) for found in pipeline.responses().values()} == {1}
    unreadable = 1
    assert len(pipeline.responses()) == len(pipeline.tape.of(pipeline.routes.requests)) - unreadable
