"""The broker the tests use: yours, one in a container, or the embedded one. All three are real."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka.embedded import EmbeddedBroker

T = TypeVar("T")
IMAGE = "apache/kafka:4.3.1"
_DELETE_SECONDS = 30


def in_own_loop(work: Coroutine[object, object, T]) -> T:
    """Run a coroutine to its end from a synchronous fixture, without touching pytest-asyncio's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@contextmanager
def broker_for_tests(data_dir: Path) -> Iterator[str]:
    """Yield the bootstrap servers of a broker.

    `KAFKA_BOOTSTRAP_SERVERS` names one that runs; `KAFKA=container` starts one with testcontainers; else it is the
    embedded broker with its state in `data_dir`.
    """
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield servers
    elif os.environ.get("KAFKA") == "container":
        yield from _container()
    else:
        broker = EmbeddedBroker(data_dir)
        in_own_loop(broker.start())
        try:
            yield broker.bootstrap_servers
        finally:
            in_own_loop(broker.stop())


def _container() -> Iterator[str]:
    """Run Apache's own image; the KafkaContainer of testcontainers knows Confluent's images only."""
    from docker import from_env  # type: ignore[import-untyped]  # noqa: PLC0415 - needed for KAFKA=container only
    from docker.errors import DockerException  # type: ignore[import-untyped]  # noqa: PLC0415 - as above
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    try:
        from_env().ping()
    except DockerException as error:
        pytest.fail(f"KAFKA=container is set, but no container engine answers: {error}", pytrace=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    container = DockerContainer(IMAGE).with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS=f"PLAINTEXT://:{port},CONTROLLER://:29093",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://127.0.0.1:{port}",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:29093",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS="1000",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
    )
    # The engine's own form for one address; testcontainers' types know port numbers only.
    container.ports = {f"{port}/tcp": ("127.0.0.1", port)}  # type: ignore[dict-item]  # its types are narrower than what it takes
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60))
    with container:
        yield f"127.0.0.1:{port}"


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Delete every topic whose name starts with the prefix: a test broker is small, and partitions cost memory."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await asyncio.wait_for(admin.delete_topics(names), _DELETE_SECONDS)
    finally:
        await admin.close()
