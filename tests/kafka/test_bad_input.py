"""What nobody can read: it is rejected or put aside, the partition moves on, and nothing is lost of it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from agents.tools.tool import tool
from tests.support.pipeline import Pipeline, call, results, running, script

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = script(("^say$", [{"calls": [call("echo", text="well")]}, {"answer": "{results[0]}"}]))
MEBIBYTE = 1024 * 1024


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(kafka: str, module_prefix: str) -> AsyncIterator[Pipeline]:
    """One of each role, shared by the tests of this module: what the tests before it left behind must not matter."""
    async with running(kafka, module_prefix, SCRIPT, [echo]) as pipeline:
        yield pipeline


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def compressing(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose large records pass the broker's limit, which counts compressed bytes."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, compression_type="gzip", max_request_size=8 * MEBIBYTE
    ) as producer:
        yield producer


async def assert_moves_on(pipeline: Pipeline, partition: int = 0) -> None:
    """Check that a good request behind the bad one is answered."""
    sent = await pipeline.submit({"prompt": "say"}, partition=partition)
    response = await pipeline.response(f"{sent.topic}-{sent.partition}-{sent.offset}")
    assert (response["status"], response["answer"]) == ("completed", "well")


def nested(levels: int) -> bytes:
    """Write a request whose metadata nests so deep."""
    return b'{"prompt": "say", "metadata": {"a": ' + b"[" * levels + b"]" * levels + b"}}"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("text", b"hello", "not JSON"),
        ("cut-off", b'{"prompt": "say"', "not JSON"),
        ("latin-1", '{"prompt": "grüß"}'.encode("latin-1"), "not JSON"),
        ("nan", b'{"prompt": "say", "metadata": {"x": NaN}}', "not JSON"),
        ("null", None, "null"),
        ("array", b"[]", "an array"),
        ("number-prompt", b'{"prompt": 5}', "prompt"),
        ("no-prompt", b"{}", "prompt"),
        ("empty-prompt", b'{"prompt": ""}', "empty"),
        ("blank-prompt", b'{"prompt": " \\n "}', "empty"),
        ("turns-as-text", b'{"prompt": "say", "max_turns": "3"}', "max_turns"),
        ("other-type", b'{"type": "run.finished", "prompt": "say"}', "run.finished"),
        ("other-version", b'{"v": 2, "prompt": "say"}', "v:"),
        ("nested-65", nested(65), "nested deeper than 64"),
        ("nested-100000", nested(100_000), "not JSON"),
    ],
)
async def test_a_bad_request_with_a_key_is_rejected_with_the_reason(
    pipeline: Pipeline, name: str, value: bytes | None, reason: str
) -> None:
    """Its sender is told under the key, once and for all, and nothing of it is a dead letter."""
    await pipeline.submit(value, name.encode(), 0)
    response = await pipeline.response(name)
    assert response["status"] == "rejected"
    assert response["error"]["code"] == "invalid_request"
    assert reason in response["error"]["message"]
    assert response["results"] == []
    await assert_moves_on(pipeline)
    assert len(pipeline.responses()[name]) == 1
    assert all(one.key != name.encode() for one in pipeline.tape.of(pipeline.routes.dead_letters))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"hello"),
        (None, b"\xff\xfe\x00"),
        (None, b""),
        (None, b"[1, 2]"),
        (b"\xff\xfe", b"no key either"),
        (b"line\nfeed", b"nor this one"),
        (b"x" * 1000, b"nor one so long"),
    ],
)
async def test_a_bad_request_from_nobody_is_a_dead_letter_with_its_bytes(
    pipeline: Pipeline, key: bytes | None, value: bytes | None
) -> None:
    """Key and value as they were; cause, topic, partition and offset in the headers; no response to anybody."""
    before = len(pipeline.responses())
    sent = await pipeline.submit(value, key, 1)
    await assert_moves_on(pipeline, 1)
    letter = await pipeline.dead_letter(value)
    headers = dict(letter.headers)
    assert letter.key == key
    assert headers["dlq-cause"]
    assert headers["dlq-topic"].decode() == pipeline.routes.requests
    assert (headers["dlq-partition"], headers["dlq-offset"]) == (b"1", str(sent.offset).encode())
    assert len(pipeline.responses()) == before + 1


async def test_a_request_without_key_and_value_does_not_stop_its_partition(pipeline: Pipeline) -> None:
    """There is nothing to put aside but the fact, which the headers tell."""
    sent = await pipeline.submit(None, None, 1)
    await assert_moves_on(pipeline, 1)
    headers = dict((await pipeline.dead_letter(b"", "dlq-value")).headers)
    assert headers["dlq-value"] == b"null"
    assert headers["dlq-offset"] == str(sent.offset).encode()


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", "ñ".encode(), b"x" * 10_000])
async def test_a_header_that_means_nothing_changes_nothing(pipeline: Pipeline, value: bytes | None) -> None:
    """A trace header without value, or with any bytes, neither stops the run nor the dead letter of another record."""
    headers = [("traceparent", value), ("mine", value), ("", b"")]
    good, unreadable = b'{"prompt": "say"}', b"with header " + repr(value).encode()
    sent = await pipeline.producer.send_and_wait(pipeline.routes.requests, good, partition=2, headers=headers)
    await pipeline.producer.send_and_wait(pipeline.routes.requests, unreadable, partition=2, headers=headers)
    response = await pipeline.response(f"{sent.topic}-{sent.partition}-{sent.offset}")
    assert response["status"] == "completed"
    letter = await pipeline.dead_letter(unreadable)
    assert list(letter.headers)[:3] == headers
    await assert_moves_on(pipeline, 2)


async def test_a_bad_request_without_key_is_rejected_under_its_position(pipeline: Pipeline) -> None:
    """A JSON object is somebody's request, so there is an id to answer under."""
    sent = await pipeline.submit(b'{"prompt": 5}', partition=2)
    response = await pipeline.response(f"{sent.topic}-{sent.partition}-{sent.offset}")
    assert response["status"] == "rejected"
    await assert_moves_on(pipeline, 2)


async def test_a_key_that_is_no_text_is_no_id_but_no_obstacle(pipeline: Pipeline) -> None:
    """A good request under any key is run; its id is then that of its position."""
    sent = await pipeline.submit({"prompt": "say"}, b"\xff\xfe\xfd", 0)
    response = await pipeline.response(f"{sent.topic}-{sent.partition}-{sent.offset}")
    assert response["status"] == "completed"


async def test_a_request_of_two_mebibytes_is_rejected(pipeline: Pipeline, compressing: AIOKafkaProducer) -> None:
    """Compressed it passes the broker; what is read here has to fit into the records that follow."""
    body = json.dumps({"prompt": "say" * (2 * MEBIBYTE // 3)}).encode()
    await compressing.send_and_wait(pipeline.routes.requests, body, key=b"two-mebibytes", partition=0)
    response = await pipeline.response("two-mebibytes")
    assert response["status"] == "rejected"
    assert response["error"]["code"] == "request_too_large"
    await assert_moves_on(pipeline)


async def test_an_unreadable_record_larger_than_any_may_be_is_cut_and_says_so(
    pipeline: Pipeline, compressing: AIOKafkaProducer
) -> None:
    """Five mebibytes that compress well: the headers say where the whole of it lies."""
    value = b"?" * (5 * MEBIBYTE)
    await compressing.send_and_wait(pipeline.routes.requests, value, partition=0)
    letter = await pipeline.dead_letter(value[: 3 * MEBIBYTE])
    assert dict(letter.headers)["dlq-cut-from-bytes"] == str(len(value)).encode()
    await assert_moves_on(pipeline)


async def test_metadata_as_large_as_a_request_may_be_comes_back(pipeline: Pipeline) -> None:
    """Almost a mebibyte that does not compress, echoed in the response."""
    note = base64.b64encode(os.urandom(700_000)).decode()
    await pipeline.submit({"prompt": "say", "metadata": {"note": note}}, b"heavy", 0)
    response = await pipeline.response("heavy")
    assert response["status"] == "completed"
    assert response["metadata"] == {"note": note}
    assert results(response) == ["well"]


@pytest.mark.parametrize("name", ["run-events", "turns", "tool-calls-echo"])
@pytest.mark.parametrize("kind", ["text", "null", "object"])
async def test_an_unreadable_record_on_an_inner_topic_is_a_dead_letter(
    pipeline: Pipeline, name: str, kind: str
) -> None:
    """Whoever wrote it: it is put aside with its bytes, and the partition moves on."""
    topic = pipeline.routes.topic(name)
    value = {"text": b"no " + name.encode(), "null": None, "object": b'{"type": "no.%s"}' % name.encode()}[kind]
    key = f"{name}-{kind}".encode()
    sent = await pipeline.produce(topic, value, key, 0)

    def letters() -> list[dict[str, bytes]]:
        found = [one for one in pipeline.tape.of(pipeline.routes.dead_letters) if one.key == key]
        assert all(one.value == value for one in found)
        return [dict(one.headers) for one in found]

    (headers,) = await pipeline.tape.until(letters)
    assert headers["dlq-topic"].decode() == topic
    assert headers["dlq-offset"] == str(sent.offset).encode()
    assert headers["dlq-cause"]
    await assert_moves_on(pipeline)


async def test_every_bad_record_was_put_aside_once_and_nobody_was_answered_twice(pipeline: Pipeline) -> None:
    """After all of the above has settled."""
    await pipeline.settled()
    origins = [
        tuple(value for name, value in one.headers if name in {"dlq-topic", "dlq-partition", "dlq-offset"})
        for one in pipeline.tape.of(pipeline.routes.dead_letters)
    ]
    assert len(origins) == len(set(origins)) > 0
    assert {len(found) for found in pipeline.responses().values()} == {1}
    total = len(pipeline.tape.of(pipeline.routes.requests))
    unread = sum(origin[0].decode() == pipeline.routes.requests for origin in origins)
    assert len(pipeline.responses()) == total - unread
