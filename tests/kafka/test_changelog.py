"""The changelog holds the runs table: who loads it has what the owner had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.rows import FinishedRow
from streams import topology
from streams.kafka.clients import client_options
from streams.runs.aggregator import Aggregator
from streams.runs.changelog import load_runs
from streams.runs.run import OpenRun, Run, rows_of
from tests.support.pipeline import PARTITIONS, Pipeline, call, script
from tests.support.remote_tool import remote
from tests.support.switchboard import Switchboard

SCRIPT = script(
    (
        r"^two turns (?P<n>\d+)$",
        [
            {"calls": [call("remote", text="one-{n}"), call("nowhere")]},
            {"calls": [call("remote", text="two-{n}"), call("remote", text="held")]},
            {"answer": "{results[0]}"},
        ],
    ),
    (r"^one turn", [{"calls": [call("remote", text="quick")]}, {"answer": "{results[0]}"}]),
)


@pytest.fixture
async def switchboard(tmp_path: Path) -> AsyncIterator[Switchboard]:
    """Decides when calls of `remote` end."""
    async with Switchboard(tmp_path / "s") as board:
        yield board


async def loaded(pipeline: Pipeline) -> dict[int, dict[str, Run]]:
    """Load every partition of the changelog."""
    options, topic = client_options(pipeline.settings), pipeline.routes.runs_changelog
    return {number: await load_runs(options, topic, number) for number in range(PARTITIONS)}


def live(aggregator: Aggregator) -> dict[int, dict[str, Run]]:
    """Return what the owner has in memory."""
    tables = {number: partition._table for number, partition in aggregator._partitions.items()}
    return {number: dict(table._runs) for number, table in tables.items() if table is not None}


async def test_the_loaded_table_equals_the_live_one(kafka: str, topic_prefix: str, switchboard: Switchboard) -> None:
    """In the middle of runs, when they are over, and after another owner has loaded and finished some of them."""
    switchboard.on_hold = {"held"}
    async with Pipeline(kafka, topic_prefix, SCRIPT, [remote]) as pipeline:
        aggregator = pipeline.new_aggregator()
        await pipeline.start(pipeline.new_planner(), pipeline.new_tools(), aggregator)
        prompts = [f"two turns {n}" for n in range(9)] + [f"one turn {n}" for n in range(9)]
        requests = (pipeline.submit({"prompt": prompt}, prompt.encode()) for prompt in prompts)
        await asyncio.gather(*requests)
        await pipeline.answered(9)
        await pipeline.tape.until(lambda: len(pipeline.outcomes()) == 9 + 2 * 9)
        await pipeline.settled(topology.PLANNER, topology.AGGREGATOR)
        middle = await loaded(pipeline)
        runs = {name: run for partition in middle.values() for name, run in partition.items()}
        assert middle == live(aggregator)
        assert {type(runs[name]) for name in prompts[:9]} == {OpenRun}
        assert {type(runs[name]) for name in prompts[9:]} == {FinishedRow}
        assert all(len(rows_of({name: runs[name]})) == 1 + 4 for name in prompts[:9])

        await pipeline.stop(aggregator)
        successor = pipeline.new_aggregator()
        await pipeline.start(successor)
        assert live(successor) == middle

        await switchboard.release("held")
        await pipeline.answered(18)
        await pipeline.settled()
        end = await loaded(pipeline)
        assert end == live(successor)
        assert {type(run) for partition in end.values() for run in partition.values()} == {FinishedRow}
        rows = [len(rows_of(partition)) for partition in end.values()]
        assert sum(rows) == 18, "nothing but a marker stays of a finished run"
