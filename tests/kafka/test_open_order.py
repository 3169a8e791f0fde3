"""Who takes over a partition of the runs table takes over everything, once, up to the last moment of who had it."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import KafkaError, ProducerFenced

import streams.runs.partition
from schemas.record import Record
from streams import topology
from streams.kafka.clients import client_options
from streams.routes import Routes
from streams.runs.table import Batch, Table
from streams.runs.writer import Writer
from tests.support.pipeline import Pipeline, script
from tests.support.tape import BytesRecord

SCRIPT = script(("", [{"answer": "done"}]))
UNREADABLE = b"unreadable"


def record_of(read: BytesRecord) -> Record:
    """Turn what a client has read into what a table folds."""
    return Record(read.topic, read.partition, read.offset, read.timestamp, read.key, read.value)


async def folded(pipeline: Pipeline) -> Batch:
    """Fold all there is on partition 0, as its owner would have."""
    routes = pipeline.routes
    await pipeline.tape.wind()
    table = Table(0, routes, 60_000, {}, set())
    for read in (*pipeline.tape.of(routes.requests), *pipeline.tape.of(routes.run_events)):
        table.fold(record_of(read))
    return table.take_batch()


async def test_what_the_owner_before_commits_at_the_last_moment_is_neither_lost_nor_done_twice(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has folded a request, buried a record, and commits both just before it is fenced; behind that, nothing."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, []) as pipeline:
        routes, options = pipeline.routes, client_options(pipeline.settings)
        predecessor = await Writer.fence(options, 0, routes, routes.group(topology.AGGREGATOR))
        await pipeline.submit({"prompt": "go"}, b"go", partition=0)
        await pipeline.produce(routes.run_events, UNREADABLE, b"go", 0)
        last = [await folded(pipeline)]
        fence = Writer.fence

        async def at_the_last_moment(options: dict[str, Any], partition: int, routes: Routes, group: str) -> Writer:
            if partition == 0 and last:
                await predecessor.write(last.pop())
            return await fence(options, partition, routes, group)

        monkeypatch.setattr(Writer, "fence", at_the_last_moment)
        await pipeline.start(pipeline.new_aggregator())
        with pytest.raises(ProducerFenced):
            await predecessor.write(await folded(pipeline))
        await predecessor.close()
        await pipeline.start(pipeline.new_planner())
        assert (await pipeline.response("go", 10))["answer"] == "done"
        await pipeline.settled(topology.PLANNER, topology.AGGREGATOR)
        assert {name: len(found) for name, found in pipeline.responses().items()} == {"go": 1}
        assert [letter.value for letter in pipeline.tape.of(routes.dead_letters)] == [UNREADABLE]


async def test_a_response_whose_transaction_fails_was_never_given(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are written when the offsets are refused: the next attempt is the one that is seen."""
    write, refused = Writer.write, 0

    async def refuse(*_: object) -> None:
        raise KafkaError

    async def torn(self: Writer, batch: Batch) -> None:
        nonlocal refused
        if refused < 3 and any(record.topic == self._routes.responses for record in batch.records):
            refused += 1
            monkeypatch.setattr(self._producer, "send_offsets_to_transaction", refuse)
        await write(self, batch)

    monkeypatch.setattr(Writer, "write", torn)
    monkeypatch.setattr(streams.runs.partition, "REOPEN_SECONDS", (0.01,))
    async with Pipeline(kafka, topic_prefix, SCRIPT, []) as pipeline:
        await pipeline.start(pipeline.new_planner(), pipeline.new_aggregator())
        response = await pipeline.ask("go")
        assert response["answer"] == "done"
        assert refused == 3
        await pipeline.settled(topology.PLANNER, topology.AGGREGATOR)
        assert {name: len(found) for name, found in pipeline.responses().items()} == {response["correlation_id"]: 1}
