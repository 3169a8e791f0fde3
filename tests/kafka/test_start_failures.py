"""A role that cannot work says so at once instead of waiting in silence."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from streams import topology
from streams.assembly import new_planner, new_tools
from streams.installation import TopicsMissing, require_topics
from streams.role import Role
from streams.runs.aggregator import Aggregator
from streams.settings import Settings
from tests.support.pipeline import Pipeline, script
from tests.support.remote_tool import remote
from tests.support.role_process import environment_of, run_command


@pytest.fixture
def nowhere() -> Iterator[Settings]:
    """Settings that name a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Settings(bootstrap_servers=f"127.0.0.1:{held.getsockname()[1]}")


@pytest.mark.parametrize(
    "make",
    [new_planner, lambda settings: new_tools(settings, "default"), Aggregator],
    ids=["planner", "tools", "aggregator"],
)
async def test_a_role_without_broker_fails_to_start_and_names_the_address(
    nowhere: Settings, make: Callable[[Settings], Role]
) -> None:
    """The error has host and port, it comes within seconds, and stopping what never started is harmless."""
    role = make(nowhere)
    assert nowhere.bootstrap_servers is not None
    with pytest.raises(KafkaConnectionError, match=nowhere.bootstrap_servers.partition(":")[2]):
        await asyncio.wait_for(role.start(), 10)
    assert not role.ready.is_set()
    await role.stop()


async def test_a_command_without_broker_ends_with_one_clear_line(nowhere: Settings, tmp_path: Path) -> None:
    """Status 2 and the address; without any address, what to set."""
    unset = environment_of(Settings(bootstrap_servers=None), ORCHESTRATOR_DATA_DIR=str(tmp_path))
    closed, unnamed = await asyncio.gather(
        run_command(environment_of(nowhere), "planner"), run_command(unset, "ask", "anything")
    )
    assert closed[0] == unnamed[0] == 2
    assert (nowhere.bootstrap_servers or "") in closed[2]
    assert "KAFKA_BOOTSTRAP_SERVERS" in unnamed[2]
    for _, _, err in (closed, unnamed):
        assert [line for line in err.splitlines() if line.startswith("orchestrator: ")]
        assert "Traceback" not in err


async def test_a_role_whose_topics_are_missing_says_which_and_what_to_do(kafka: str, topic_prefix: str) -> None:
    """Nobody else would make them: the role would wait for ever."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix, tools=("tests.support.remote_tool",))
    for role in topology.ROLES:
        with pytest.raises(TopicsMissing, match="orchestrator topics apply") as missing:
            await require_topics(settings, role)
        assert f"{topic_prefix}run-events" in str(missing.value)
        assert f"{topic_prefix}tool-calls-remote" in str(missing.value)
    async with Pipeline(kafka, topic_prefix, script(("", [{"answer": "-"}])), [remote]):
        for role in topology.ROLES:
            await require_topics(settings, role)
