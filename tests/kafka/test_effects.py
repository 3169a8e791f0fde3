"""What has an effect happens only for a plan that is committed, and what was aborted never happened."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer

from agents.llm.model import CallSealed, Conversation, ModelCallFailed, ModelEvent
from agents.tools.tool import CallContext, Tool, tool
from schemas.codec import encode
from schemas.tool_call import ToolCallRequested
from tests.support.pipeline import Pipeline, call, read, running, script


class Till:
    """Tools that write down what they did: `pay` has an effect, `look` has none."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self.paid: list[tuple[int, str]] = []
        self.looked: list[int] = []

    def tools(self) -> list[Tool]:
        """Make the tools."""

        @tool(effectful=True)
        def pay(amount: int, context: CallContext) -> str:
            self.paid.append((amount, context.call_id))
            return "paid"

        @tool
        def look(price: int) -> int:
            self.looked.append(price)
            return price

        return [pay, look]


class BreaksOff:
    """A model that makes two calls, waits until the harmless one has run, and fails."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take where to see what has run."""
        self._pipeline = pipeline

    async def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
        """Stream the calls and then no end."""
        del conversation
        yield CallSealed(0, "pay", {"amount": 7})
        yield CallSealed(1, "look", {"price": 7})
        await self._pipeline.tape.until(self._pipeline.outcomes)
        raise ModelCallFailed(name="breaks-off", reason="the line is dead")


def requested(pipeline: Pipeline, name: str, price: int) -> bytes:
    """Write a call of `look` as a foreign producer might."""
    return encode(
        ToolCallRequested(
            correlation_id=name,
            call_id=f"{name}-call",
            turn=1,
            tool="look",
            arguments={"price": price},
            deadline_at=datetime.now(UTC) + timedelta(minutes=1),
            reply_to=pipeline.routes.reply_to(0),
        )
    )


async def test_an_effectful_call_runs_once_and_only_from_the_committed_plan(kafka: str, topic_prefix: str) -> None:
    """The harmless call starts early; the payment is published by the aggregator, behind the plan, under its id."""
    till = Till()
    text = script(
        (
            "^buy$",
            [{"per_call_ms": 200, "calls": [call("pay", amount=7), call("look", price=7)]}, {"answer": "{results[0]}"}],
        )
    )
    async with running(kafka, topic_prefix, text, till.tools()) as pipeline:
        response = await pipeline.ask("buy")
        assert (response["status"], response["answer"]) == ("completed", "paid")
        await pipeline.assert_answered_once(response["correlation_id"])
        assert till.paid == [(7, response["results"][0]["call_id"])]
        assert till.looked == [7]
        plan = next(one for one in pipeline.tape.of(pipeline.routes.run_events) if b'"plan.created"' in one.value)
        assert [one["dispatched"] for one in read(plan)["calls"]] == [False, True]
        (payment,) = pipeline.tape.of(pipeline.routes.tool_topic("pay"))
        (look,) = pipeline.tape.of(pipeline.routes.tool_topic("look"))
        assert look.timestamp <= plan.timestamp <= payment.timestamp


async def test_an_effectful_call_of_a_plan_that_breaks_off_never_runs(kafka: str, topic_prefix: str) -> None:
    """The harmless call of it has run already and does not count; the payment was not made and never will be."""
    till = Till()
    async with Pipeline(kafka, topic_prefix, script(("", [{"answer": "-"}])), till.tools()) as pipeline:
        await pipeline.start(pipeline.new_planner(BreaksOff(pipeline)), pipeline.new_tools(), pipeline.new_aggregator())
        response = await pipeline.ask("buy")
        assert response["status"] == "failed"
        assert "the line is dead" in response["error"]["message"]
        assert [one["status"] for one in response["results"]] == ["superseded"]
        await pipeline.assert_answered_once(response["correlation_id"])
        assert not till.paid
        assert not pipeline.tape.of(pipeline.routes.tool_topic("pay"))


async def test_calls_of_an_aborted_transaction_are_never_run(kafka: str, topic_prefix: str) -> None:
    """Workers read committed records only, whoever wrote them."""
    till = Till()
    async with Pipeline(kafka, topic_prefix, script(("", [{"answer": "-"}])), till.tools()) as pipeline:
        await pipeline.start(pipeline.new_tools())
        writer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic_prefix}foreign")
        await writer.start()
        topic = pipeline.routes.tool_topic("look")
        await writer.begin_transaction()
        await writer.send_and_wait(topic, requested(pipeline, "aborted", 1), partition=0)
        await writer.abort_transaction()
        async with writer.transaction():
            await writer.send_and_wait(topic, requested(pipeline, "committed", 2), partition=0)
        await writer.stop()
        (outcome,) = await pipeline.tape.until(pipeline.outcomes)
        assert (outcome["correlation_id"], outcome["result"]) == ("committed", 2)
        assert till.looked == [2]
