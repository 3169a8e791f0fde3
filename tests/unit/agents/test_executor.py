"""Promises of the executor: a call is run once, in time, and whatever happens is its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import agents.executor
from agents.executor import MAX_RESULT_BYTES, Executor, Limits
from agents.tools.registry import Registry
from agents.tools.tool import CallContext, Tool, ToolFailed
from schemas.codec import encode
from schemas.events import RUN_EVENTS
from schemas.failure import FailureCode
from schemas.tool_call import Outcome, ReplyTo, ToolCallFailed, ToolCallRequested, ToolCallSucceeded, ToolCallTimedOut
from tests.support.facts import RUN, START, at
from tests.support.virtual_time import run_virtually

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def declared(function: Callable[..., object], *, timeout_ms: int | None = None) -> Tool:
    """Make a tool named `work` of a function."""
    return Tool.declare({"name": "work", "parameters": SCHEMA, "timeout_ms": timeout_ms}, function)


def call(
    name: str = "c-1", *, tool: str = "work", deadline_ms: float = 60_000, **arguments: object
) -> ToolCallRequested:
    """A call with a minute to go."""
    return ToolCallRequested(
        correlation_id=RUN,
        call_id=name,
        turn=1,
        tool=tool,
        arguments=arguments,
        deadline_at=at(deadline_ms),
        attempt=2,
        tenant="acme",
        reply_to=ReplyTo(topic="run-events", partition=3),
    )


def executor(function: Callable[..., object], *, parallel: int = 30, timeout_ms: int | None = None) -> Executor:
    """An executor of that one tool, whose clock is the loop's: still in real time, exact in virtual time."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    def clock() -> datetime:
        return START + timedelta(seconds=loop.time() - start)

    return Executor(Registry([declared(function, timeout_ms=timeout_ms)]), clock, Limits(parallel, 5000))


async def ended(function: Callable[..., object], **arguments: Any) -> Outcome:  # noqa: ANN401 - arguments of the tool
    """Run one call; its outcome must be readable by the aggregator."""
    outcome = await executor(function).execute(call(**arguments))
    assert RUN_EVENTS.decode(encode(outcome)) == outcome
    assert (outcome.correlation_id, outcome.call_id, outcome.tool) == (RUN, "c-1", "work")
    return outcome


async def failed(function: Callable[..., object], **arguments: Any) -> ToolCallFailed:  # noqa: ANN401 - as above
    """Run one call, which must fail."""
    outcome = await ended(function, **arguments)
    assert isinstance(outcome, ToolCallFailed), outcome
    return outcome


class Counted:
    """A tool's function that counts its runs and ends each when the test says so."""

    def __init__(self) -> None:
        """Start with none."""
        self.begun: asyncio.Queue[int] = asyncio.Queue()
        self.runs = 0
        self.active = 0
        self.most = 0
        self.release = asyncio.Event()

    async def __call__(self, arguments: dict[str, Any]) -> int:
        """Run until released; return the number of the run."""
        del arguments
        self.runs += 1
        self.active += 1
        self.most = max(self.most, self.active)
        self.begun.put_nowait(self.runs)
        try:
            number = self.runs
            await self.release.wait()
            return number
        finally:
            self.active -= 1


async def test_a_call_that_returns_has_succeeded() -> None:
    """With its result, when it began, how long it took and how often it was tried."""
    outcome = await ended(lambda arguments: {"n": arguments["n"] + 1}, n=1)
    assert isinstance(outcome, ToolCallSucceeded)
    assert (outcome.result, outcome.attempts, outcome.cached) == ({"n": 2}, 1, False)
    assert outcome.started_at is not None
    assert outcome.duration_ms is not None


async def test_a_tool_is_told_its_call() -> None:
    """The call id is its idempotency key."""
    contexts: list[CallContext] = []

    def function(arguments: dict[str, Any], context: CallContext) -> None:
        del arguments
        contexts.append(context)

    await ended(function)
    assert contexts == [CallContext("c-1", RUN, "acme", at(60_000), attempt=2)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (TimeoutError("the database"), "work gave up waiting (TimeoutError('the database'))"),
        (SystemExit(1), "work tried to end the process"),
        (asyncio.CancelledError(), "work was cancelled from inside"),
        (RuntimeError("x" * 1_000_000), "RuntimeError: xxx"),
    ],
)
async def test_what_a_tool_raises_is_its_outcome(error: BaseException, message: str) -> None:
    """Nothing a tool does ends the worker, or is taken for the worker's own time limit."""

    async def function(_: dict[str, Any]) -> None:
        raise error

    outcome = await failed(function)
    assert outcome.error.code == FailureCode.TOOL_FAILED
    assert outcome.error.message.startswith(message)
    assert len(outcome.error.message) <= 4_000
    assert outcome.attempts == 1


async def test_a_tool_says_whether_to_try_again() -> None:
    """Only it can know."""

    def function(_: dict[str, Any]) -> None:
        raise ToolFailed(reason="busy", retryable=True)

    outcome = await failed(function)
    assert (outcome.error.message, outcome.error.retryable) == ("busy.", True)


@pytest.mark.parametrize(
    "result",
    [float("nan"), object(), {1, 2, object()}, 2**70, "\ud800"],
    ids=["nan", "object", "set", "large", "surrogate"],
)
async def test_a_result_that_json_cannot_carry_fails_the_call(result: object) -> None:
    """It has run, and nobody could read what it returned."""
    outcome = await failed(lambda _: result)
    assert outcome.error.code == FailureCode.RESULT_NOT_JSON
    assert outcome.attempts == 1


async def test_a_result_of_the_largest_size_is_kept() -> None:
    """To the byte."""
    outcome = await ended(lambda _: "x" * (MAX_RESULT_BYTES - 2))
    assert isinstance(outcome, ToolCallSucceeded)


@pytest.mark.parametrize("size", [MAX_RESULT_BYTES - 1, 40_000_000])
async def test_a_result_too_large_for_a_record_fails_the_call(size: int) -> None:
    """However much larger: it must not fill the memory of what recently ran either."""
    outcome = await failed(lambda _: "x" * size)
    assert outcome.error.code == FailureCode.RESULT_TOO_LARGE
    assert "262,144" in outcome.error.message


async def test_a_tool_that_is_not_here_is_said_to_be_unknown() -> None:
    """A worker of an older release may be asked for a tool it has not."""
    outcome = await executor(lambda _: 1).execute(call(tool="other"))
    assert isinstance(outcome, ToolCallFailed)
    assert (outcome.error.code, outcome.attempts, outcome.tool) == (FailureCode.UNKNOWN_TOOL, 0, "other")


async def test_arguments_are_checked_before_anything_runs() -> None:
    """Also those of a call that somebody else has written to the topic."""
    counted = Counted()
    outcome = await failed(counted, n="5")
    assert (outcome.error.code, outcome.attempts) == (FailureCode.INVALID_ARGUMENTS, 0)
    assert counted.runs == 0


@pytest.mark.parametrize("deadline_ms", [0, -1, -1e9])
async def test_an_expired_call_is_not_run(deadline_ms: float) -> None:
    """Nobody waits for it any more."""
    counted = Counted()
    outcome = await executor(counted).execute(call(deadline_ms=deadline_ms))
    assert isinstance(outcome, ToolCallTimedOut)
    assert (outcome.error.code, outcome.attempts) == (FailureCode.DEADLINE_EXCEEDED, 0)
    assert counted.runs == 0


def test_a_call_that_expires_while_it_waits_for_its_turn_is_not_run() -> None:
    """Under overload what is late is passed over quickly."""

    async def story() -> tuple[tuple[Outcome, Outcome], int]:
        counted = Counted()
        worker = executor(counted, parallel=1, timeout_ms=4000)
        outcomes = await asyncio.gather(worker.execute(call("a")), worker.execute(call("b", deadline_ms=3000)))
        return outcomes, counted.runs

    (first, second), runs = run_virtually(story())
    assert isinstance(first, ToolCallTimedOut)
    assert isinstance(second, ToolCallTimedOut)
    assert (first.attempts, second.attempts, runs) == (1, 0, 1)


@pytest.mark.parametrize(
    ("timeout_ms", "deadline_ms", "seconds", "code"),
    [
        (1500, 60_000, 1.5, FailureCode.TOOL_TIMED_OUT),
        (None, 60_000, 5.0, FailureCode.TOOL_TIMED_OUT),
        (1500, 700, 0.7, FailureCode.DEADLINE_EXCEEDED),
    ],
)
def test_a_call_has_its_tools_time_and_never_more_than_its_run(
    timeout_ms: int | None, deadline_ms: int, seconds: float, code: FailureCode
) -> None:
    """The tool's limit, else the worker's; the run's deadline when that is sooner, and then no try helps."""

    async def story() -> tuple[Outcome, float, int]:
        counted = Counted()
        outcome = await executor(counted, timeout_ms=timeout_ms).execute(call(deadline_ms=deadline_ms))
        return outcome, asyncio.get_running_loop().time(), counted.active

    outcome, time, active = run_virtually(story())
    assert isinstance(outcome, ToolCallTimedOut)
    retryable = code is FailureCode.TOOL_TIMED_OUT
    assert (outcome.error.code, outcome.error.retryable, outcome.attempts) == (code, retryable, 1)
    assert time == pytest.approx(seconds)
    assert active == 0


async def test_no_more_calls_run_at_once_than_allowed() -> None:
    """The others wait, and get their turn."""
    counted = Counted()
    worker = executor(counted, parallel=2)
    calls = [asyncio.create_task(worker.execute(call(f"c-{number}"))) for number in range(5)]
    await counted.begun.get()
    await counted.begun.get()
    counted.release.set()
    outcomes = await asyncio.gather(*calls)
    assert counted.most == 2
    assert counted.runs == 5
    assert all(isinstance(outcome, ToolCallSucceeded) for outcome in outcomes)


async def test_a_call_published_again_is_answered_from_memory() -> None:
    """The plan was repeated, the work is not: the same outcome to the microsecond."""
    counted = Counted()
    counted.release.set()
    worker = executor(counted)
    first = await worker.execute(call())
    assert await worker.execute(call()) is first
    assert counted.runs == 1


async def test_a_failed_call_published_again_is_not_run_again() -> None:
    """The first outcome of a call wins anyway."""
    runs: list[int] = []

    def function(_: dict[str, Any]) -> None:
        runs.append(1)
        message = "no"
        raise ValueError(message)

    worker = executor(function)
    assert await worker.execute(call()) is await worker.execute(call())
    assert len(runs) == 1


async def test_a_call_that_is_running_is_joined_and_not_run_beside_itself() -> None:
    """Two deliveries at once are one run with two readers."""
    counted = Counted()
    worker = executor(counted)
    first = asyncio.create_task(worker.execute(call()))
    await counted.begun.get()
    second = asyncio.create_task(worker.execute(call()))
    other = asyncio.create_task(worker.execute(call("c-2")))
    await counted.begun.get()  # by now the second has had its chance
    counted.release.set()
    assert await first is await second
    assert (await other).call_id == "c-2"
    assert counted.runs == 2


async def test_a_reader_that_is_cancelled_does_not_take_the_run_from_the_other() -> None:
    """A partition that is revoked must not end work that another delivery waits for."""
    counted = Counted()
    worker = executor(counted)
    first = asyncio.create_task(worker.execute(call()))
    await counted.begun.get()
    second = asyncio.create_task(worker.execute(call()))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    counted.release.set()
    assert isinstance(await second, ToolCallSucceeded)
    assert counted.runs == 1


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes: the oldest is forgotten, and would run again."""
    monkeypatch.setattr(agents.executor, "REMEMBERED_BYTES", 100_000)
    runs: list[str] = []

    def function(arguments: dict[str, Any], context: CallContext) -> str:
        del arguments
        runs.append(context.call_id)
        return "x" * 40_000

    worker = executor(function)
    for name in ("a", "b", "c", "c", "b", "a"):
        assert isinstance(await worker.execute(call(name)), ToolCallSucceeded)
    assert runs == ["a", "b", "c", "a"]


async def test_the_calls_of_a_cancelled_run_stop_whether_they_run_or_wait_and_no_more_are_run() -> None:
    """Those of other runs go on."""
    counted = Counted()
    worker = executor(counted, parallel=1)
    running = asyncio.create_task(worker.execute(call("running")))
    await counted.begun.get()
    waiting = asyncio.create_task(worker.execute(call("waiting")))
    other = asyncio.create_task(worker.execute(call("other").model_copy(update={"correlation_id": "other"})))
    await asyncio.sleep(0)
    worker.cancel(RUN)
    outcomes = [await running, await waiting, await worker.execute(call("late"))]
    assert [one.error.code for one in outcomes if isinstance(one, ToolCallFailed)] == [FailureCode.CANCELLED] * 3
    counted.release.set()
    assert isinstance(await other, ToolCallSucceeded)
    assert counted.runs == 2


async def test_a_call_cancelled_before_it_began_is_cancelled() -> None:
    """The very moment between taking a call and running it."""
    worker = executor(Counted())
    taken = asyncio.create_task(worker.execute(call("a")))
    await asyncio.sleep(0)
    worker.cancel(RUN)
    outcome = await taken
    assert isinstance(outcome, ToolCallFailed)
    assert outcome.error.code == FailureCode.CANCELLED
