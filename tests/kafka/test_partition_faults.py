"""A partition that errs is thrown away and opened again; one that must go lets go in time."""

from __future__ import annotations

import asyncio
import time

import pytest

import streams.runs.aggregator
import streams.runs.partition
from agents.tools.tool import tool
from streams.outbox import NotPublished, Outbox
from streams.routes import Outgoing
from streams.runs.table import Batch
from streams.runs.writer import Writer
from tests.support.pipeline import Pipeline, call, running, script

SCRIPT = script(
    ("^effect$", [{"calls": [call("pay", amount=5)]}, {"answer": "paid"}]),
    ("^echo (?P<text>.*)$", [{"calls": [call("echo", text="{text}")]}, {"answer": "{results[0]}"}]),
)


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@tool(effectful=True)
def pay(amount: int) -> int:
    """Pay."""
    return amount


async def test_a_deadline_that_could_not_be_announced_is_announced_later(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partition that failed to write it is opened again, which finds the run and its deadline in the changelog."""
    failures: list[Outgoing] = []

    class Failing(Outbox):
        async def publish(self, *records: Outgoing) -> None:
            if len(failures) < 2:
                failures.extend(records)
                raise NotPublished(topic=records[0].topic, reason="made to fail by the test")
            await super().publish(*records)

    monkeypatch.setattr(streams.runs.aggregator, "Outbox", Failing)
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo]) as pipeline:
        await pipeline.start(pipeline.new_aggregator())
        responses = await asyncio.gather(pipeline.ask("a", timeout_ms=300), pipeline.ask("b", timeout_ms=300))
        assert [one["status"] for one in responses] == ["timed_out", "timed_out"]
        assert len(failures) == 2
        await pipeline.tape.wind()
        assert all(len(found) == 1 for found in pipeline.responses().values())


async def test_a_commit_whose_outcome_is_unknown_loses_and_doubles_nothing(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third transaction of each partition is committed and then said to have failed."""
    write, count = Writer.write, 0

    async def unsure(self: Writer, batch: Batch) -> None:
        nonlocal count
        await write(self, batch)
        count += 1
        if count % 3 == 0 and count < 20:
            raise TimeoutError

    monkeypatch.setattr(Writer, "write", unsure)
    monkeypatch.setattr(streams.runs.partition, "REOPEN_SECONDS", (0.01,))
    async with running(kafka, topic_prefix, SCRIPT, [echo]) as pipeline:
        responses = await asyncio.gather(*(pipeline.ask(f"echo {number}") for number in range(20)))
        assert [one["answer"] for one in responses] == [str(number) for number in range(20)]
        assert count >= 6
        await pipeline.assert_answered_once(*(one["correlation_id"] for one in responses))


async def test_a_transaction_that_hangs_does_not_hold_up_the_end(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance waits for its members: a partition is given up in bounded time, and the next owner goes on."""
    started = asyncio.Event()
    write = Writer.write

    async def hanging(self: Writer, batch: Batch) -> None:
        del self, batch
        started.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(streams.runs.partition, "CLOSE_SECONDS", 0.5)
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo]) as pipeline:
        stuck = pipeline.new_aggregator()
        await pipeline.start(pipeline.new_planner(), pipeline.new_tools(), stuck)
        monkeypatch.setattr(Writer, "write", hanging)
        asked = asyncio.create_task(pipeline.ask("echo x"))
        await started.wait()
        start = time.monotonic()
        await pipeline.stop(stuck)
        assert time.monotonic() - start < 5
        monkeypatch.setattr(Writer, "write", write)
        await pipeline.start(pipeline.new_aggregator())
        response = await asked
        assert response["answer"] == "x"
        await pipeline.assert_answered_once(response["correlation_id"])


async def test_a_call_of_a_tool_whose_topic_is_gone_fails_and_the_partition_goes_on(
    kafka: str, topic_prefix: str
) -> None:
    """Nobody can run it; the runs beside it do not wait for it."""
    async with Pipeline(kafka, topic_prefix, SCRIPT, [echo, pay]) as pipeline:
        await pipeline.delete_topic(pipeline.routes.tool_topic("pay"))
        await pipeline.start(pipeline.new_planner(), pipeline.new_tools([echo]), pipeline.new_aggregator())
        effect, other = await asyncio.gather(pipeline.ask("effect"), pipeline.ask("echo x"))
        assert effect["results"][0]["error"]["code"] == "unknown_tool"
        assert (effect["status"], other["answer"]) == ("partial", "x")
