"""A client: sends a request and follows its run to the response."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import uuid_utils
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.base import Event
from schemas.codec import Codec, Malformed, encode
from schemas.errors import OrchestratorError
from schemas.events import RESPONSES, RUN_EVENTS, RunEvent
from schemas.request import RequestSubmitted
from schemas.run import RunFinished
from streams.kafka.clients import BrokerUnreachable, new_producer, new_reader, partitions_of, started
from streams.outbox import Outbox
from streams.routes import JSON, Outgoing, Routes


class NoTopics(OrchestratorError):
    """The broker at {servers} has no topic {topic}. Run `orchestrator topics apply`.

    If it was applied, see that ORCHESTRATOR_TOPIC_PREFIX is the same.
    """


def new_correlation_id() -> str:
    """Make an id that sorts by time (UUID version 7)."""
    return str(uuid_utils.uuid7())


async def follow(
    options: Mapping[str, Any], routes: Routes, request: RequestSubmitted
) -> AsyncGenerator[RunEvent | RunFinished, None]:
    """Send a request and yield what becomes of it, ending with its response. Endless without one: bound it outside.

    The request is put on one partition, so the run lives there and two partitions are all there is to read.
    """
    correlation_id = request.correlation_id or new_correlation_id()
    request = request.model_copy(update={"correlation_id": correlation_id})
    async with started(new_reader(options), options["bootstrap_servers"]) as reader:
        partition = await _partition_for(reader, routes, options["bootstrap_servers"], correlation_id)
        sources = [TopicPartition(topic, partition) for topic in (routes.run_events, routes.responses)]
        reader.assign(sources)
        await reader.seek_to_end(*sources)
        for source in sources:
            await reader.position(source)
        await _send(options, Outgoing(routes.requests, correlation_id.encode(), encode(request), partition, JSON))
        async for event in _events_of(reader, routes, correlation_id):
            yield event
            if isinstance(event, RunFinished):
                return


async def _partition_for(reader: AIOKafkaConsumer, routes: Routes, servers: object, correlation_id: str) -> int:
    """Choose a partition. Any will do, since a run lives where its request is; the id's checksum spreads them."""
    sources = await partitions_of(reader, routes.requests)
    if not sources:
        raise NoTopics(servers=servers, topic=routes.requests)
    number: int = sources[zlib.crc32(correlation_id.encode()) % len(sources)].partition
    return number


async def _send(options: Mapping[str, Any], record: Outgoing) -> None:
    producer = new_producer(options)
    try:
        await producer.start()
        await Outbox(producer).publish(record)
    except KafkaConnectionError as error:
        raise BrokerUnreachable(servers=options["bootstrap_servers"], problem=error) from error
    finally:
        await producer.stop()


async def _events_of(
    reader: AIOKafkaConsumer, routes: Routes, correlation_id: str
) -> AsyncIterator[RunEvent | RunFinished]:
    codecs: dict[str, Codec[Any]] = {routes.run_events: RUN_EVENTS, routes.responses: RESPONSES}
    while True:
        polled = await reader.getmany(timeout_ms=1000)
        # Facts before the response, since the response is committed after the facts it stands for.
        for source in sorted(polled, key=lambda source: source.topic == routes.responses):
            for record in polled[source]:
                event: Event | Malformed = codecs[source.topic].decode(record.value)
                if getattr(event, "correlation_id", None) == correlation_id:
                    yield event  # type: ignore[misc] # the codecs of the two topics read nothing else
