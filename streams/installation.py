"""An installation: its topics on the broker, with its prefix and its tools."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

from agents.tools.registry import Registry, load_registry
from schemas.errors import OrchestratorError
from schemas.topics import TopicSpec, load_topics
from streams import topology
from streams.kafka.admin import observe
from streams.kafka.clients import client_options
from streams.routes import Routes
from streams.settings import Settings, load_settings

ADDRESS_FILE = "bootstrap-servers"
"""In the data folder: where the broker of a running `orchestrator dev` listens."""

CONNECT_SECONDS = 3.0


class TopicsMissing(OrchestratorError):
    """The broker has no {topics}. Run `orchestrator topics apply` (it never deletes) and start again."""


class PartitionsDiffer(OrchestratorError):
    """These topics must have the same number of partitions, because a run lives on the same number of all: {counts}.

    `orchestrator topics plan` shows what topics.yaml says. Stop the producers, let the runs end, and grow the smaller
    ones with `orchestrator topics apply --allow-more-partitions`; or begin anew with another ORCHESTRATOR_TOPIC_PREFIX.
    """


class DevNotRunning(OrchestratorError):
    """No broker answers at {address}, where {file} says that `orchestrator dev` has one.

    Start `orchestrator dev` (`make run`) in another terminal, or set KAFKA_BOOTSTRAP_SERVERS to a broker you have.
    """


def client_settings() -> Settings:
    """Read the settings as a command for people does: without a named broker, that of a running `orchestrator dev`.

    Raises `DevNotRunning` when that one is gone, having had no time to remove its address.
    """
    settings = load_settings()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is told once, by the command
    file = settings.data_dir / ADDRESS_FILE
    if settings.bootstrap_servers is not None or not file.is_file():
        return settings
    address = file.read_text().strip()
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise DevNotRunning(address=address, file=file) from error
    return settings.model_copy(update={"bootstrap_servers": address})


def topic_specs(settings: Settings, registry: Registry, replication: int | None = None) -> tuple[TopicSpec, ...]:
    """List the topics of this installation as they should be, with its prefix: fixed ones and one per tool."""
    return load_topics().installation(sorted(registry), prefix=settings.topic_prefix, replication=replication)


async def require_topics(settings: Settings, role: topology.Role) -> None:
    """Check that the broker has the topics of a role. Raises `TopicsMissing` or `PartitionsDiffer`.

    Without them a role would wait in silence for topics that nobody makes: the broker does not make them by itself.
    With different numbers of partitions it would work until the first run that has no partition to live on.
    """
    needed = _needed(settings, role)
    routes = Routes(settings.topic_prefix)
    together = [routes.topic(spec.name) for spec in load_topics().topics if spec.co_partitioned]
    observed = await observe(client_options(settings), {*needed, *together})
    missing = [name for name in needed if name not in observed]
    if missing:
        raise TopicsMissing(topics=", ".join(missing))
    counts = {name: observed[name].partitions for name in together if name in observed}
    if len(set(counts.values())) > 1:
        raise PartitionsDiffer(counts=", ".join(f"{name} has {count}" for name, count in counts.items()))


def _needed(settings: Settings, role: topology.Role) -> Sequence[str]:
    routes = Routes(settings.topic_prefix)
    names = dict.fromkeys((*role.reads, *role.hears, *role.writes))
    fixed = [routes.topic(name) for name in names if name != topology.TOOL_CALLS]
    tools = load_registry(settings.tools) if topology.TOOL_CALLS in names else {}
    return [*fixed, *(routes.tool_topic(tool) for tool in tools)]
