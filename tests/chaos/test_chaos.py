"""The promises hold while processes and the broker are killed. `python -m tests.chaos.run` does it for longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.kafka.embedded import EmbeddedBroker
from tests.chaos.run import Plan, unleash

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        os.environ.get("CHAOS") != "1", reason="a minute of kills on both cores: CHAOS=1 make test, or make chaos"
    ),
]

SEED = int(os.environ.get("CHAOS_SEED", "11"))
SIZES = {"planner": 2, "tools": 2, "aggregator": 2}


async def test_nothing_is_lost_doubled_or_done_again_while_everything_is_killed(tmp_path: Path) -> None:
    """A minute of it, the broker's own death included; the checker judges all that was written."""
    plan = Plan(seconds=40, seed=SEED, pause=2.0, sizes=SIZES, broker_kills=True, broker_pause=15)
    async with EmbeddedBroker(tmp_path / "broker") as broker:
        chaos = await unleash(broker, plan, tmp_path)
    story = "\n".join((*chaos.story, *chaos.deaths, *chaos.lines()))
    print(story)  # noqa: T201 - shown with -s, and whenever the test fails
    assert chaos.settled, story
    assert chaos.report.violations == [], story
    assert chaos.kills["broker SIGKILL"]
    assert sum(chaos.kills.values()) > 5
    assert chaos.report.requests > 300
