"""How this project talks to Kafka: the one place where aiokafka clients are made."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer import sender

from schemas.errors import OrchestratorError
from streams.kafka.tolerant_records import read_tolerantly
from streams.settings import Settings

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""What topics.yaml allows for every topic but `requests`, in bytes. The broker counts batches."""

MAX_RECORD_BYTES = MAX_BATCH_BYTES - 16 * 1024
"""Size of the largest record written, in bytes: a batch of one, with room for what goes around it."""

SESSION_TIMEOUT_MS = 6_000
HEARTBEAT_INTERVAL_MS = 2_000
"""A dead process is noticed after the session timeout, in milliseconds; heartbeats come several times in it."""

BACKOFF_SECONDS = 0.004
"""How long a transactional producer waits before it asks again, while the last transaction's markers are written.
aiokafka's own values (20 ms, then 100 ms) are what a single run spends most of its time in (docs/decisions/0004)."""

sender.BACKOFF_OVERRIDE = BACKOFF_SECONDS

read_tolerantly()


class BrokerUnreachable(OrchestratorError):
    """No Kafka broker answers at {servers}: {problem}. See that it runs and that the security settings are right."""


class NoBroker(OrchestratorError):
    """No Kafka broker is named. Set KAFKA_BOOTSTRAP_SERVERS, or use `orchestrator dev`, which starts its own."""


def client_options(settings: Settings) -> dict[str, Any]:
    """Give the arguments that every aiokafka client takes: address and security. Raises `NoBroker`."""
    if settings.bootstrap_servers is None:
        raise NoBroker
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        cafile = str(settings.ssl_cafile) if settings.ssl_cafile else None
        options["ssl_context"] = ssl.create_default_context(cafile=cafile)
    if settings.sasl_username and settings.sasl_password and settings.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.sasl_mechanism
        options["sasl_plain_username"] = settings.sasl_username.get_secret_value()
        options["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return options


def new_producer(options: Mapping[str, Any], *, transactional_id: str | None = None) -> AIOKafkaProducer:
    """Make a producer that loses and doubles nothing by itself: all replicas, idempotent."""
    return AIOKafkaProducer(
        **options,
        transactional_id=transactional_id,
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_RECORD_BYTES,
        # One batch should hold a whole transaction's share of a partition: at 16 KiB it goes out in many requests.
        max_batch_size=256 * 1024,
        retry_backoff_ms=int(BACKOFF_SECONDS * 1000),
        transaction_timeout_ms=30_000,
    )


def new_reader(options: Mapping[str, Any]) -> AIOKafkaConsumer:
    """Make a consumer without a group that reads committed records of partitions it is told."""
    return AIOKafkaConsumer(**options, **_READING, enable_auto_commit=False, auto_offset_reset="earliest")


def new_group_member(
    options: Mapping[str, Any],
    group: str,
    assignor: type[AbstractPartitionAssignor],
    *,
    max_poll_records: int | None = None,
) -> AIOKafkaConsumer:
    """Make a member of a consumer group that reads committed records and never commits by itself."""
    return AIOKafkaConsumer(
        **options,
        **_READING,
        group_id=group,
        partition_assignment_strategy=(assignor,),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        max_poll_records=max_poll_records,
    )


_READING: dict[str, Any] = {
    # Turns, calls and responses are written in transactions: without this, aborted ones would be acted upon.
    "isolation_level": "read_committed",
    "max_partition_fetch_bytes": MAX_BATCH_BYTES,
    "fetch_max_wait_ms": 500,
}


async def partitions_of(reader: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """List the partitions of a topic, in order; none when the broker does not have it."""
    known = await reader._client.fetch_all_metadata()  # noqa: SLF001 - a reader without group has no public way to ask
    return [TopicPartition(topic, number) for number in sorted(known.partitions_for_topic(topic) or ())]


async def topics_of(producer: AIOKafkaProducer) -> set[str]:
    """List the topics the broker has."""
    known = await producer.client.fetch_all_metadata()
    return set(known.topics())


@asynccontextmanager
async def started(reader: AIOKafkaConsumer, servers: object) -> AsyncIterator[AIOKafkaConsumer]:
    """Start a reader, and stop it at the end. Raises `BrokerUnreachable`."""
    try:
        await reader.start()
    except KafkaConnectionError as error:
        raise BrokerUnreachable(servers=servers, problem=error) from error
    else:
        yield reader
    finally:
        await reader.stop()
