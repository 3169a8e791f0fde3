"""One response for each request: many at once, repeated ones, several processes, and a writer that came back."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from agents.tools.tool import CallContext, Tool, tool
from schemas.rows import FinishedRow
from streams import topology
from streams.kafka.clients import client_options
from streams.routes import Outgoing
from streams.runs.aggregator import Aggregator
from streams.runs.table import Batch
from streams.runs.writer import Writer
from tests.support.pipeline import PARTITIONS, Pipeline, call, read, running, script

SCRIPT = script(
    (
        r"^count to (?P<n>\d+)$",
        [{"calls": [call("count", n="{n:int}"), call("count", n=0)]}, {"answer": "{results[0]}"}],
    )
)


class Counting:
    """A worker's tool that notes each execution."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.executions: Counter[str] = Counter()

    @property
    def tool(self) -> Tool:
        """Make the tool."""

        @tool(name="count")
        async def count(n: int, context: CallContext) -> int:
            self.executions[context.call_id] += 1
            await asyncio.sleep(0.02)  # the work
            return n

        return count


async def submit_many(pipeline: Pipeline, numbers: range) -> list[str]:
    """Submit one keyed request per number, all at once, and return their ids."""
    names = [f"run-{number}" for number in numbers]
    await asyncio.gather(
        *(pipeline.submit({"prompt": f"count to {name[4:]}"}, name.encode()) for name in names),
    )
    return names


async def test_two_hundred_requests_at_once_are_each_answered_once(kafka: str, topic_prefix: str) -> None:
    """Each with its own result, and every call is executed once."""
    counting = Counting()
    async with running(kafka, topic_prefix, SCRIPT, [counting.tool]) as pipeline:
        names = await submit_many(pipeline, range(1, 201))
        await pipeline.answered(len(names))
        await pipeline.assert_answered_once(*names)
        answers = {name: found[0]["answer"] for name, found in pipeline.responses().items()}
        assert answers == {name: name[4:] for name in names}
        assert len(counting.executions) == 400
        assert set(counting.executions.values()) == {1}


async def test_a_request_that_is_produced_twice_is_answered_once(kafka: str, topic_prefix: str) -> None:
    """Under the same key or the same id, at once or after the first is finished: nothing is run or told again."""
    counting = Counting()
    async with running(kafka, topic_prefix, SCRIPT, [counting.tool]) as pipeline:
        body = {"prompt": "count to 3"}
        await asyncio.gather(*(pipeline.submit(body, b"keyed") for _ in range(3)))
        await asyncio.gather(*(pipeline.submit(body | {"correlation_id": "named"}, None, 0) for _ in range(3)))
        await asyncio.gather(pipeline.response("keyed"), pipeline.response("named"))
        await pipeline.submit(body, b"keyed")
        await pipeline.submit(body | {"correlation_id": "named"}, None, 0)
        await pipeline.assert_answered_once("keyed", "named")
        assert set(counting.executions.values()) == {1}
        assert len(counting.executions) == 4
        events = [read(record) for record in pipeline.tape.of(pipeline.routes.run_events)]
        plans = Counter((one["correlation_id"], one["turn"]) for one in events if one["type"] == "plan.created")
        assert set(plans.values()) == {1}, "a repetition that comes soon costs no model"


async def test_processes_share_the_partitions_and_one_may_leave(kafka: str, topic_prefix: str) -> None:
    """Two of each role answer everything once, before, while and after one of each stops."""
    workers = [Counting(), Counting()]
    async with Pipeline(kafka, topic_prefix, SCRIPT, [workers[0].tool]) as pipeline:
        planners = [pipeline.new_planner(), pipeline.new_planner()]
        tools = [pipeline.new_tools([worker.tool]) for worker in workers]
        aggregators = [pipeline.new_aggregator(), pipeline.new_aggregator()]
        await pipeline.start(*planners, *tools, *aggregators)
        names = await submit_many(pipeline, range(1, 101))
        await pipeline.answered(50)
        shares = await pipeline.tape.until(lambda: shared(aggregators))
        more = asyncio.create_task(submit_many(pipeline, range(101, 201)))
        await asyncio.gather(pipeline.stop(planners[0]), pipeline.stop(tools[0]), pipeline.stop(aggregators[0]))
        names += await more
        names += await submit_many(pipeline, range(201, 251))
        await pipeline.answered(len(names))
        await pipeline.assert_answered_once(*names)
        assert all(shares)
        assert all(worker.executions for worker in workers)
        assert {found[0]["status"] for found in pipeline.responses().values()} == {"completed"}


def shared(aggregators: list[Aggregator]) -> list[set[int]]:
    """Return which partitions each owns, or nothing while the group has not agreed."""
    owned = [set(aggregator._partitions) for aggregator in aggregators]
    return owned if sorted(number for numbers in owned for number in numbers) == list(range(PARTITIONS)) else []


def batch_of(pipeline: Pipeline, name: str) -> Batch:
    """Make a batch as the table does: a row, a record, an offset."""
    row = FinishedRow(correlation_id=name, status="completed", finished_at=datetime.now(UTC))
    record = Outgoing(pipeline.routes.responses, name.encode(), b"{}", 0)
    return Batch(rows={name: row}, records=[record], offsets={pipeline.routes.requests: 41}, folded=1)


@pytest.mark.parametrize("begun", [False, True])
async def test_a_writer_that_was_replaced_can_write_nothing(kafka: str, topic_prefix: str, *, begun: bool) -> None:
    """However long it was stalled, before its transaction or within it: it is refused, and no reader sees a trace."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [Counting().tool]) as pipeline:
        options, routes = client_options(pipeline.settings), pipeline.routes
        group = routes.group(topology.AGGREGATOR)
        stalled = await Writer.fence(options, 0, routes, group)
        await stalled.write(batch_of(pipeline, "before"))
        if begun:
            await stalled._producer.begin_transaction()
            await stalled._producer.send_and_wait(routes.responses, b"{}", key=b"stalled", partition=0)
        successor = await Writer.fence(options, 0, routes, group)
        with pytest.raises(ProducerFenced):
            await (stalled._producer.commit_transaction() if begun else stalled.write(batch_of(pipeline, "stalled")))
        await successor.write(batch_of(pipeline, "after"))
        await pipeline.tape.wind()
        for topic in (routes.responses, routes.runs_changelog):
            assert [record.key for record in pipeline.tape.of(topic)] == [b"before", b"after"]
        assert await pipeline.committed(topology.AGGREGATOR) == {TopicPartition(routes.requests, 0): 41}
        await asyncio.gather(stalled.close(), successor.close())
