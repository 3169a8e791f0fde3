"""Promises about running a tool."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.tools.tool import CallContext, Tool, ToolFailed, tool
from schemas.failure import FailureCode
from tests.support.call_context import CONTEXT
from tests.unit.agents.tools.example_tool import ANY_OBJECT


async def test_the_context_is_injected_and_hidden() -> None:
    """A parameter annotated CallContext is not shown to the model, who cannot set it either."""

    @tool
    async def who(name: str, context: CallContext) -> list[str]:
        return [name, context.call_id, context.tenant]

    assert list(who.spec.parameters["properties"]) == ["name"]
    assert await who.run({"name": "n"}, CONTEXT) == ["n", "call-1", "default"]
    assert who.check({"name": "n", "context": {}}) is not None


@pytest.mark.parametrize("error", [ToolFailed(reason="no", retryable=True), ValueError("x"), StopIteration(3)])
async def test_what_a_tool_raises_reaches_the_caller(error: Exception) -> None:
    """From a thread as from the loop; only StopIteration, which no future carries, changes its class."""

    @tool
    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError if isinstance(error, StopIteration) else type(error)) as raised:
        await fail.run({}, CONTEXT)
    if not isinstance(error, StopIteration):
        assert raised.value is error


@pytest.mark.parametrize(
    ("error", "retryable"),
    [(TimeoutError("socket"), True), (SystemExit(1), False), (asyncio.CancelledError(), False)],
)
@pytest.mark.parametrize("in_thread", [True, False])
async def test_a_tool_cannot_pass_for_its_caller(error: BaseException, *, retryable: bool, in_thread: bool) -> None:
    """Its own timeouts, cancellations and exits are failures of the tool, not the end of a limit or of the worker."""

    def fail(_: dict[str, Any]) -> None:
        raise error

    async def fail_later(_: dict[str, Any]) -> None:
        raise error

    failing = Tool.declare({"name": "failing", "parameters": ANY_OBJECT}, fail if in_thread else fail_later)
    with pytest.raises(ToolFailed, match="failing") as raised:
        await failing.run({}, CONTEXT)
    assert raised.value.retryable is retryable


async def test_a_cancelled_run_is_cancelled() -> None:
    """The caller's own cancellation passes through, and stops an async tool where it waits."""
    waiting, stopped = asyncio.Event(), asyncio.Event()

    @tool
    async def wait_forever() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = asyncio.create_task(wait_forever.run({}, CONTEXT))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped.is_set()


def test_a_tool_failure_says_whether_to_try_again() -> None:
    """The error becomes a `Failure` with code, message and retryable."""
    failure = ToolFailed(reason="the mill is closed", retryable=True).failure()
    assert (failure.code, failure.message, failure.retryable) == (
        FailureCode.TOOL_FAILED,
        "the mill is closed.",
        True,
    )
    assert not ToolFailed(reason="broken").failure().retryable
