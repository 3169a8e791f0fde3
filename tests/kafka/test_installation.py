"""An installation whose topics do not fit together, and what a person sees while a run is under way."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agents.tools.registry import load_registry
from agents.tools.tool import tool
from schemas.request import RequestSubmitted
from streams import topology
from streams.ask import await_response
from streams.installation import PartitionsDiffer, require_topics, topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.topic_plan import plan
from streams.settings import Settings
from tests.support.pipeline import call, running, script

SCRIPT = script(("^say$", [{"calls": [call("echo", text="hello")]}, {"answer": "It said {results[0]}."}]))


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


async def test_topics_that_must_fit_together_and_do_not_stop_every_role(kafka: str, topic_prefix: str) -> None:
    """A run lives on the same partition number of all: better no start than runs that have nowhere to live."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix)
    specs = topic_specs(settings, load_registry(settings.tools))
    counts = {f"{topic_prefix}turns": 2}
    few = [spec.model_copy(update={"partitions": counts.get(spec.name, 1)}) for spec in specs]
    options = {"bootstrap_servers": kafka}
    await apply_plan(options, plan(few, await observe(options, [])))
    for role in topology.ROLES:
        with pytest.raises(PartitionsDiffer) as differ:
            await require_topics(settings, role)
        assert f"{topic_prefix}turns has 2" in str(differ.value)
        assert f"{topic_prefix}requests has 1" in str(differ.value)
        assert "--allow-more-partitions" in str(differ.value)


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
async def test_only_on_a_terminal_a_spinner_shows_that_it_waits(
    kafka: str, topic_prefix: str, *, terminal: bool
) -> None:
    """A file gets the lines of progress and nothing that moves."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=80)
    async with running(kafka, topic_prefix, SCRIPT, [echo]) as pipeline:
        response = await await_response(pipeline.settings, RequestSubmitted(prompt="say"), console)
    assert response.status == "completed"
    assert ("waiting for the response" in shown.getvalue()) is terminal
    assert ("\x1b" in shown.getvalue()) is terminal
    assert "echo succeeded" in shown.getvalue()
