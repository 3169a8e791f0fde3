"""What the embedded broker promises, shown on the real one."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.kafka.data_dir import is_alive
from streams.kafka.embedded import (
    BrokerStartFailed,
    DataDirInUse,
    EmbeddedBroker,
    EmbeddedBrokerUnavailable,
    PortTaken,
)

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import asyncio, sys
from pathlib import Path
from streams.kafka.embedded import serve
asyncio.run(serve(Path(sys.argv[1])))
"""


@asynccontextmanager
async def serving(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `serve` in another process; yield it and the line it printed when the broker answered."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, str(data_dir), stdout=asyncio.subprocess.PIPE, cwd=ROOT, start_new_session=True
    )
    assert process.stdout
    try:
        yield process, (await process.stdout.readline()).decode()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def write(servers: str, *values: bytes) -> None:
    """Create the topic `kept` when it is missing and write the values to it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    for value in values:
        await producer.send_and_wait("kept", value)
    await producer.stop()


async def read(servers: str) -> list[bytes]:
    """Return every value in the topic `kept`."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = TopicPartition("kept", 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        values: list[bytes] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(partition, timeout_ms=1000)).values():
                values += [record.value for record in records]
        return values
    finally:
        await consumer.stop()


def holder(data_dir: Path) -> dict[str, int]:
    """Return pid, owner and port as the data directory names them."""
    facts: dict[str, int] = json.loads((data_dir / "broker.lock").read_bytes())
    return facts


def names_in(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def until_free(data_dir: Path) -> None:
    """Wait until no process holds the data directory, without doing anything about it."""
    with (data_dir / "broker.lock").open("rb") as lock:
        await asyncio.wait_for(asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX), 30)


async def test_a_broker_started_again_on_another_port_has_its_earlier_records(tmp_path: Path) -> None:
    """The state is in the folder, not in the address; an interrupted format and odd names do not matter."""
    data_dir = tmp_path / "a folder, with äny name"
    (data_dir / "data.new" / "half").mkdir(parents=True)
    async with EmbeddedBroker(data_dir) as first:
        await write(first.bootstrap_servers, b"1", b"2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with EmbeddedBroker(data_dir, port) as second:
        assert second.bootstrap_servers == f"127.0.0.1:{port}" != first.bootstrap_servers
        await write(second.bootstrap_servers, b"3")
        assert await read(second.bootstrap_servers) == [b"1", b"2", b"3"]


async def test_a_killed_broker_starts_again_with_its_records_and_port(tmp_path: Path) -> None:
    """A crash loses nothing that was acknowledged, and clients find the broker where it was."""
    broker = EmbeddedBroker(tmp_path)
    await broker.start()
    try:
        servers = broker.bootstrap_servers
        await write(servers, b"before")
        os.kill(broker.pid or 0, signal.SIGKILL)
        assert await broker.wait() == -signal.SIGKILL
        await broker.start()
        assert broker.bootstrap_servers == servers
        assert await read(servers) == [b"before"]
    finally:
        await broker.stop()


async def test_a_second_broker_on_the_same_data_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    """The error names pid and port of the one that runs, and that one is not disturbed."""
    async with EmbeddedBroker(tmp_path) as first:
        with pytest.raises(DataDirInUse) as refused:
            await EmbeddedBroker(tmp_path).start()
        assert f"pid {first.pid}" in str(refused.value)
        assert first.bootstrap_servers in str(refused.value)
        await write(first.bootstrap_servers, b"still there")


async def test_the_broker_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    """No java is left behind by a SIGKILL, and the folder is free again without any clean-up."""
    async with serving(tmp_path) as (owner, _):
        facts = holder(tmp_path)
        assert facts["owner"] == owner.pid
        owner.kill()
        await until_free(tmp_path)
        assert not is_alive(facts["pid"])
    async with EmbeddedBroker(tmp_path) as again:
        assert again.bootstrap_servers


async def test_a_broker_whose_owner_and_lifeline_are_gone_is_ended_by_the_next_start(tmp_path: Path) -> None:
    """An orphan that certainly is ours is ended; nobody has to hunt for processes."""
    if sys.platform != "linux":
        pytest.skip("finds the lifeline's process in /proc, which this system does not have")
    async with serving(tmp_path) as (owner, _):
        orphan = holder(tmp_path)["pid"]
        os.kill(lifeline_of(owner.pid), signal.SIGKILL)
        owner.kill()
        await owner.wait()
        assert is_alive(orphan)
        async with EmbeddedBroker(tmp_path) as broker:
            assert broker.pid != orphan
            assert not is_alive(orphan)


def lifeline_of(owner: int) -> int:
    """Return the process number of the shell that guards the owner's broker."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == owner and "orchestrator-lifeline" in (folder / "cmdline").read_text():
                return int(folder.name)
        except OSError:
            continue
    pytest.fail("the owner has no lifeline")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
async def test_a_served_broker_prints_its_address_and_stops_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """A signal to the whole foreground group, as a terminal sends it, ends broker and owner with exit code 0."""
    async with serving(tmp_path) as (owner, line):
        assert f"127.0.0.1:{holder(tmp_path)['port']}" in line
        os.killpg(owner.pid, number)
        assert await asyncio.wait_for(owner.wait(), 30) == 0
    await until_free(tmp_path)
    # Kafka leaves this file only when it has closed its logs in order.
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


async def test_a_port_in_use_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    """The error names the port instead of showing Java's stack."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} "):
            await EmbeddedBroker(tmp_path / "broker", port).start()
    assert names_in(tmp_path) == []


async def test_a_port_that_was_chosen_here_and_lost_is_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking for a free port and java's use of it another process may take it."""
    broker = EmbeddedBroker(tmp_path)
    choose = broker._choose_ports
    with socket.socket() as faster:
        faster.bind(("127.0.0.1", 0))
        faster.listen()
        lost = (int(faster.getsockname()[1]), choose()[1])
        answers = iter([choose(), lost])
        monkeypatch.setattr(broker, "_choose_ports", lambda: next(answers, None) or choose())
        async with broker:
            assert broker.bootstrap_servers != f"127.0.0.1:{lost[0]}"
            await write(broker.bootstrap_servers, b"1")


async def test_a_broker_that_cannot_start_names_its_log_and_shows_the_end_of_it(tmp_path: Path) -> None:
    """Whoever sees the error knows what Kafka complained about, without looking anywhere."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=7\n")
    with pytest.raises(BrokerStartFailed) as failed:
        await EmbeddedBroker(tmp_path).start()
    assert str(tmp_path / "kafka.log") in str(failed.value)
    assert "node id" in str(failed.value)
    await until_free(tmp_path)


async def test_without_network_and_jars_the_error_names_three_ways_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline for the first time: connect once, name another broker, or use Docker."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there: as good as no network
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EmbeddedBrokerUnavailable) as offline:
        await EmbeddedBroker(tmp_path / "broker").start()
    for way in ("connect to the network once", "KAFKA_BOOTSTRAP_SERVERS", "docker compose up"):
        assert way in str(offline.value)
