"""`orchestrator topics`: make the broker follow topics.yaml."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from agents.tools.registry import load_registry
from streams.installation import client_settings, topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.clients import client_options
from streams.kafka.topic_plan import TopicPlan, plan, render
from streams.settings import Settings

topics = typer.Typer(help="Make the broker follow topics.yaml. Never deletes.", no_args_is_help=True)

Replication = Annotated[int | None, typer.Option(help="Copies of each new topic, instead of what topics.yaml says.")]


@topics.command("plan")
def plan_topics(replication: Replication = None) -> None:
    """Show what `apply` would change."""
    _show(asyncio.run(_plan(client_settings(), replication)))


@topics.command()
def apply(
    allow_more_partitions: Annotated[bool, typer.Option(help="Add partitions; this moves keys.")] = False,
    replication: Replication = None,
) -> None:
    """Create what is missing and set what differs."""
    settings = client_settings()
    changes = asyncio.run(_plan(settings, replication))
    _show(changes)
    asyncio.run(apply_plan(client_options(settings), changes, allow_more_partitions=allow_more_partitions))
    if changes.has_changes:
        sys.stdout.write("applied\n")


@topics.command()
def check(replication: Replication = None) -> None:
    """Exit with status 1 when the broker differs from topics.yaml."""
    changes = asyncio.run(_plan(client_settings(), replication))
    _show(changes)
    raise typer.Exit(0 if changes.is_empty else 1)


async def _plan(settings: Settings, replication: int | None) -> TopicPlan:
    specs = topic_specs(settings, load_registry(settings.tools), replication)
    return plan(specs, await observe(client_options(settings), [spec.name for spec in specs]))


def _show(changes: TopicPlan) -> None:
    sys.stdout.write(render(changes) + "\n")
