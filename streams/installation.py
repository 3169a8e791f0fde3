"""An installation: its topics on the broker, with its prefix and its tools."""

from __future__ import annotations

import logging
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


class TopicsMissing(OrchestratorError):
    """The broker has no {topics}. Run `orchestrator topics apply` (it never deletes) and start again."""


def client_settings() -> Settings:
    """Read the settings as a command for people does: without a named broker, that of a running `orchestrator dev`."""
    settings = load_settings()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is told once, by the command
    address = settings.data_dir / ADDRESS_FILE
    if settings.bootstrap_servers is None and address.is_file():
        return settings.model_copy(update={"bootstrap_servers": address.read_text().strip()})
    return settings


def topic_specs(settings: Settings, registry: Registry, replication: int | None = None) -> tuple[TopicSpec, ...]:
    """List the topics of this installation as they should be, with its prefix: fixed ones and one per tool."""
    return load_topics().installation(sorted(registry), prefix=settings.topic_prefix, replication=replication)


async def require_topics(settings: Settings, role: topology.Role) -> None:
    """Check that the broker has the topics of a role. Raises `TopicsMissing`.

    Without them a role would wait in silence for topics that nobody makes: the broker does not make them by itself.
    """
    needed = _needed(settings, role)
    observed = await observe(client_options(settings), needed)
    missing = [name for name in needed if name not in observed]
    if missing:
        raise TopicsMissing(topics=", ".join(missing))


def _needed(settings: Settings, role: topology.Role) -> Sequence[str]:
    routes = Routes(settings.topic_prefix)
    names = dict.fromkeys((*role.reads, *role.writes))
    fixed = [routes.topic(name) for name in names if name != topology.TOOL_CALLS]
    tools = load_registry(settings.tools) if topology.TOOL_CALLS in names else {}
    return [*fixed, *(routes.tool_topic(tool) for tool in tools)]
