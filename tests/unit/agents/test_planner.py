"""Promises of the planner: calls go out while the model speaks, and whatever happens ends in one event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Generator
from datetime import datetime, timedelta
from typing import Any

import pytest

from agents.draft import MAX_NAME_CHARACTERS
from agents.llm.model import ChatModel, Conversation, ModelCallFailed, ModelEvent, ModelUnknown
from agents.llm.router import Router
from agents.planner import MAX_PLAN_BYTES, Planner
from agents.tools.registry import Registry
from agents.tools.tool import Tool, tool
from agents.turn import Turn
from schemas.base import MAX_DEPTH
from schemas.codec import encode
from schemas.events import RUN_EVENTS
from schemas.failure import FailureCode
from schemas.ids import call_id
from schemas.plan import MAX_CALLS, PlanCreated, PlanFailed, PlannedCall
from schemas.request import RequestSubmitted
from schemas.run import Usage
from schemas.tool_call import ReplyTo, ToolCallRequested
from schemas.turn import TurnRecord
from tests.support.facts import RUN, START, at
from tests.support.step_model import StepModel
from tests.support.virtual_time import run_virtually


@tool
def search(query: str) -> str:
    """Find something."""
    return query


@tool(effectful=True)
def send(text: str) -> str:
    """Change something."""
    return text


def _anything(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


anything = Tool.declare({"name": "anything", "parameters": {"type": "object"}}, _anything)


class Confirmation:
    """What a dispatch returns: tells when somebody waits for it, and ends when the test says so."""

    def __init__(self) -> None:
        """Start unconfirmed."""
        self.awaited = asyncio.Event()
        self.result: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def __await__(self) -> Generator[Any, None, bool]:
        """Wait for the broker."""
        self.awaited.set()
        return self.result.__await__()


class Dispatched:
    """Notes what is published, and confirms it as told."""

    def __init__(self, *, confirmed: bool | None = True) -> None:
        """Confirm at once, or (None) when the test does."""
        self.calls: asyncio.Queue[ToolCallRequested] = asyncio.Queue()
        self.traces: list[str | None] = []
        self.confirmations: list[Confirmation] = []
        self._confirmed = confirmed

    def __call__(self, call: ToolCallRequested, traceparent: str | None) -> Awaitable[bool]:
        """Publish."""
        self.calls.put_nowait(call)
        self.traces.append(traceparent)
        self.confirmations.append(Confirmation())
        if self._confirmed is not None:
            self.confirmations[-1].result.set_result(self._confirmed)
        return self.confirmations[-1]


def turn(request: RequestSubmitted | None = None, **fields: Any) -> Turn:  # noqa: ANN401 - fields of the turn
    """A turn with a minute to go."""
    reply_to = ReplyTo(topic="run-events", partition=3)
    known = {"correlation_id": RUN, "turn": 1, "deadline_at": at(60_000), "reply_to": reply_to}
    return Turn(request=request or RequestSubmitted(prompt="do it"), **{**known, **fields})


def planner(model: ChatModel, dispatched: Dispatched | None = None) -> Planner:
    """A planner whose clock stands still."""
    registry = Registry([search, send, anything])
    return Planner(Router({"step": model}, "step"), registry, dispatched or Dispatched(), lambda: START)


async def planned(model: StepModel, request: RequestSubmitted | None = None, **fields: Any) -> PlanCreated:  # noqa: ANN401 - as above
    """Plan a turn, which must succeed; the plan must be readable by the aggregator."""
    plan = await planner(model).plan(turn(request, **fields))
    assert isinstance(plan, PlanCreated), plan
    assert RUN_EVENTS.decode(encode(plan)) == plan
    return plan


async def failed(model: StepModel, request: RequestSubmitted | None = None) -> PlanFailed:
    """Plan a turn, which must fail."""
    plan = await planner(model).plan(turn(request))
    assert isinstance(plan, PlanFailed), plan
    assert (plan.correlation_id, plan.turn) == (RUN, 1)
    return plan


async def only(model: StepModel, request: RequestSubmitted | None = None) -> PlannedCall:
    """Plan a turn of one call."""
    (call,) = (await planned(model, request)).calls
    return call


async def test_a_pure_call_is_published_while_the_model_still_speaks() -> None:
    """That is what makes a run early: the tool works while the next call is being written."""
    model, dispatched = StepModel(), Dispatched()
    plan = asyncio.create_task(planner(model, dispatched).plan(turn()))
    model.text("let me ").call("search", {"query": "a"})
    first = await dispatched.calls.get()
    assert first.arguments == {"query": "a"}
    model.call("search", {"query": "b"})
    second = await dispatched.calls.get()
    assert not plan.done()
    model.text("see").finish()
    created = await plan
    assert isinstance(created, PlanCreated)
    assert [(call.call_id, call.dispatched) for call in created.calls] == [
        (first.call_id, True),
        (second.call_id, True),
    ]
    assert (created.text, created.model, created.usage) == (
        "let me see",
        "step-1",
        Usage(input_tokens=7, output_tokens=3),
    )


async def test_a_published_call_has_all_that_a_worker_needs() -> None:
    """Deadline, tenant and where the outcome goes; and the run's trace goes along."""
    dispatched = Dispatched()
    model = StepModel().call("search", {"query": "a"}).finish()
    request = RequestSubmitted(prompt="do it", tenant="acme")
    await planner(model, dispatched).plan(turn(request, turn=2, traceparent="00-trace"))
    call = dispatched.calls.get_nowait()
    assert (call.correlation_id, call.turn, call.tool, call.tenant) == (RUN, 2, "search", "acme")
    assert (call.deadline_at, call.attempt) == (at(60_000), 1)
    assert call.reply_to == ReplyTo(topic="run-events", partition=3)
    assert call.call_id == call_id(RUN, 2, "search", {"query": "a"}, 0)
    assert dispatched.traces == ["00-trace"]


async def test_an_effectful_call_is_left_to_the_aggregator() -> None:
    """It may run only once its plan is committed."""
    dispatched = Dispatched()
    model = StepModel().call("send", {"text": "hi"}).finish()
    plan = await planner(model, dispatched).plan(turn())
    assert isinstance(plan, PlanCreated)
    (call,) = plan.calls
    assert (call.effect, call.dispatched, call.error) == ("effectful", False, None)
    assert dispatched.calls.empty()


async def test_a_call_that_the_broker_did_not_confirm_is_not_marked_as_published() -> None:
    """The aggregator publishes it with the plan, so it is not lost."""
    model = StepModel().call("search", {"query": "a"}).finish()
    plan = await planner(model, Dispatched(confirmed=False)).plan(turn())
    assert isinstance(plan, PlanCreated)
    assert [call.dispatched for call in plan.calls] == [False]


async def test_a_plan_waits_until_its_calls_are_confirmed() -> None:
    """A plan that marks a call as published must be right about it."""
    dispatched = Dispatched(confirmed=None)
    model = StepModel().call("search", {"query": "a"}).finish()
    plan = asyncio.create_task(planner(model, dispatched).plan(turn()))
    await dispatched.calls.get()
    await dispatched.confirmations[0].awaited.wait()
    assert not plan.done()
    dispatched.confirmations[0].result.set_result(True)
    created = await plan
    assert isinstance(created, PlanCreated)
    assert [call.dispatched for call in created.calls] == [True]


async def test_equal_calls_of_a_turn_have_ids_of_their_own() -> None:
    """Three rolls of a die are three calls; the order of keys makes no difference."""
    model = StepModel().call("anything", {"a": 1, "b": 2}).call("anything", {"b": 2, "a": 1}).call("anything", {"a": 1})
    plan = await planned(model.finish())
    assert len({call.call_id for call in plan.calls}) == 3
    assert [call.call_id for call in plan.calls[:2]] == [
        call_id(RUN, 1, "anything", {"a": 1, "b": 2}, number) for number in range(2)
    ]


async def test_a_turn_planned_again_has_the_ids_it_had() -> None:
    """After a crash the repeated plan finds the calls that already ran, in whatever order the model makes them."""
    once = await planned(StepModel().call("search", {"query": "a"}).call("search", {"query": "b"}).finish())
    again = await planned(StepModel().call("search", {"query": "b"}).call("search", {"query": "a"}).finish())
    assert [call.call_id for call in again.calls] == [call.call_id for call in reversed(once.calls)]


async def test_an_answer_is_a_plan_without_calls() -> None:
    """The text in full, or none at all."""
    assert (await planned(StepModel().text("4").text("2").finish())).text == "42"
    silent = await planned(StepModel().finish())
    assert (silent.text, silent.calls) == (None, ())


async def test_the_model_is_asked_with_the_request_its_history_and_its_tools() -> None:
    """Planners keep no state: all of it comes with the turn."""
    model = StepModel().finish()
    history = (TurnRecord(turn=1, text="hm"),)
    request = RequestSubmitted(prompt="why?", model="step:large")
    await planned(model, request, turn=2, history=history)
    (conversation,) = model.asked
    assert (conversation.prompt, conversation.turn, conversation.history) == ("why?", 2, history)
    assert conversation.model == "step:large"
    assert [spec.name for spec in conversation.tools] == ["anything", "search", "send"]


async def test_the_allowlist_is_all_that_the_model_is_offered() -> None:
    """An empty one offers nothing."""
    model = StepModel().finish()
    await planned(model, RequestSubmitted(prompt="do it", tools=("send", "search")))
    assert [spec.name for spec in model.asked[0].tools] == ["search", "send"]
    model = StepModel().finish()
    await planned(model, RequestSubmitted(prompt="do it", tools=()))
    assert list(model.asked[0].tools) == []


@pytest.mark.parametrize(("allowed", "listed"), [(("send",), "there are: send"), ((), "there are: none")])
async def test_a_call_outside_the_allowlist_is_not_run(allowed: tuple[str, ...], listed: str) -> None:
    """It is planned as failed, and the model is told what it may call."""
    call = await only(StepModel().call("search", {"query": "a"}).finish(), RequestSubmitted(prompt="x", tools=allowed))
    assert call.dispatched is False
    assert call.error is not None
    assert call.error.code == FailureCode.UNKNOWN_TOOL
    assert call.error.message.endswith(listed)


async def test_an_allowlist_that_names_no_tool_fails_the_plan() -> None:
    """A typing error would otherwise leave the model without its tool."""
    plan = await failed(StepModel().finish(), RequestSubmitted(prompt="do it", tools=("serch",)))
    assert plan.error.code == FailureCode.UNKNOWN_TOOL
    assert "perhaps search" in plan.error.message


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("serch", {}, FailureCode.UNKNOWN_TOOL),
        ("search", {}, FailureCode.INVALID_ARGUMENTS),
        ("search", {"query": 5}, FailureCode.INVALID_ARGUMENTS),
        ("search", {"query": "a", "more": 1}, FailureCode.INVALID_ARGUMENTS),
        ("search", "a", FailureCode.INVALID_ARGUMENTS),
        ("search", None, FailureCode.INVALID_ARGUMENTS),
        ("send", [], FailureCode.INVALID_ARGUMENTS),
    ],
)
async def test_a_call_that_cannot_run_is_planned_as_failed_and_not_published(
    name: str, arguments: object, code: FailureCode
) -> None:
    """The run goes on, and the model sees why."""
    call = await only(StepModel().call(name, arguments).finish())
    assert (call.tool, call.arguments, call.dispatched) == (name, arguments, False)
    assert call.error is not None
    assert call.error.code == code


def deep(levels: int) -> object:
    """Nest a value."""
    value: object = 1
    for _ in range(levels):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    "arguments", [{"a": 2**70}, deep(MAX_DEPTH), deep(300)], ids=["large number", "deep", "deeper"]
)
async def test_arguments_that_no_record_can_hold_fail_their_call_and_not_the_plan(arguments: object) -> None:
    """A model may write any JSON: numbers of any size, nested at any depth."""
    plan = await planned(StepModel().call("anything", arguments).call("search", {"query": "a"}).finish())
    bad, good = plan.calls
    assert bad.error is not None
    assert (bad.error.code, bad.arguments, bad.dispatched) == (FailureCode.INVALID_ARGUMENTS, None, False)
    assert good.dispatched


async def test_a_made_up_name_is_kept_in_part() -> None:
    """It goes into rows, turns and the response; tools' own names are short."""
    call = await only(StepModel().call("x" * 1_000_000, {}).finish())
    assert call.tool == "x" * MAX_NAME_CHARACTERS
    assert call.error is not None
    assert len(call.error.message) < 1_000


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (ModelCallFailed(name="step", reason="overloaded", retryable=True), FailureCode.MODEL_FAILED, True),
        (ModelCallFailed(name="step", reason="refused"), FailureCode.MODEL_FAILED, False),
        (ModelUnknown(name="x", reason="no key"), FailureCode.MODEL_UNKNOWN, False),
        (RuntimeError("a bug in an adapter"), FailureCode.INTERNAL_ERROR, False),
        (KeyError("choices"), FailureCode.INTERNAL_ERROR, False),
    ],
)
async def test_whatever_a_model_raises_ends_in_one_failed_plan(
    error: Exception, code: FailureCode, *, retryable: bool
) -> None:
    """Also after it has made calls; a run must never be stuck on an exception."""
    plan = await failed(StepModel().text("hm").call("search", {"query": "a"}).fail(error))
    assert (plan.error.code, plan.error.retryable) == (code, retryable)
    assert str(error.args[0]) in plan.error.message


async def test_a_model_that_is_not_there_fails_the_plan() -> None:
    """The message lists those that are."""
    plan = await failed(StepModel(), RequestSubmitted(prompt="do it", model="nobody:large"))
    assert plan.error.code == FailureCode.MODEL_UNKNOWN
    assert "this installation has step" in plan.error.message


async def test_a_plan_too_large_for_a_record_is_a_failed_one() -> None:
    """It could not be written."""
    plan = await failed(StepModel().text("x" * (MAX_PLAN_BYTES + 1)).finish())
    assert plan.error.code == FailureCode.MODEL_FAILED
    assert "1,048,576" in plan.error.message
    assert plan.usage == Usage(input_tokens=7, output_tokens=3)


async def test_a_cancelled_planner_is_cancelled() -> None:
    """At a shutdown the record stays unfinished and goes to the next owner; it must not become a failed plan."""
    model, dispatched = StepModel().call("search", {"query": "a"}), Dispatched()
    plan = asyncio.create_task(planner(model, dispatched).plan(turn()))
    await dispatched.calls.get()
    plan.cancel()
    with pytest.raises(asyncio.CancelledError):
        await plan


@pytest.mark.parametrize(("deadline_ms", "waited"), [(1500, 1.5), (0, 0.0), (-5000, 0.0)])
def test_a_model_that_is_too_slow_is_cut_off_at_the_deadline(deadline_ms: int, waited: float) -> None:
    """The plan fails at that very moment, or at once when the turn was read too late."""

    async def story() -> tuple[PlanCreated | PlanFailed, float]:
        loop = asyncio.get_running_loop()

        def clock() -> datetime:
            return START + timedelta(seconds=loop.time())

        models = Router({"step": StepModel().call("search", {"query": "a"})}, "step")
        late = Planner(models, Registry([search]), Dispatched(), clock)
        plan = await late.plan(turn(deadline_at=at(deadline_ms)))
        return plan, loop.time()

    plan, time = run_virtually(story())
    assert isinstance(plan, PlanFailed)
    assert plan.error.code == FailureCode.DEADLINE_EXCEEDED
    assert time == pytest.approx(waited)


def test_a_broker_that_does_not_confirm_cannot_hold_a_plan_beyond_its_deadline() -> None:
    """The run is told that its plan failed; that a call ran all the same makes it an orphan."""

    async def story() -> PlanCreated | PlanFailed:
        loop = asyncio.get_running_loop()
        model = StepModel().call("search", {"query": "a"}).finish()
        silent = Planner(
            Router({"step": model}, "step"),
            Registry([search]),
            Dispatched(confirmed=None),
            lambda: START + timedelta(seconds=loop.time()),
        )
        return await silent.plan(turn(deadline_at=at(2000)))

    plan = run_virtually(story())
    assert isinstance(plan, PlanFailed)
    assert plan.error.code == FailureCode.DEADLINE_EXCEEDED


async def test_an_answer_that_no_record_can_hold_fails_the_plan() -> None:
    """A lone surrogate cannot be written as UTF-8: the run ends with a reason instead of waiting for its deadline."""
    assert (await failed(StepModel().text("x\ud800y").finish())).error.code == FailureCode.INTERNAL_ERROR


async def test_a_model_that_times_out_by_itself_is_not_the_deadline() -> None:
    """The reader must know whether more time would have helped."""
    error = (await failed(StepModel().fail(TimeoutError("read timed out")))).error
    assert (error.code, error.retryable) == (FailureCode.MODEL_FAILED, True)


async def test_a_run_makes_at_most_a_thousand_calls() -> None:
    """Those of earlier turns included, and none beyond is published."""
    model, dispatched = StepModel(), Dispatched(confirmed=True)
    for number in range(MAX_CALLS + 1):
        model.call("search", {"query": str(number)})
    plan = await planner(model.finish(), dispatched).plan(turn())
    assert isinstance(plan, PlanFailed)
    assert "more than 1,000 calls" in plan.error.message
    assert len(dispatched.traces) == MAX_CALLS


async def test_the_stream_of_a_model_is_closed_when_the_plan_fails() -> None:
    """A connection that is not closed is held until somebody collects the garbage."""
    model = StepModel().call("search", {"query": "a"})
    closed = asyncio.Event()

    class Closing(StepModel):
        async def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
            try:
                async for event in model.stream(conversation):
                    yield event
            finally:
                closed.set()

    class Failing(Dispatched):
        def __call__(self, call: ToolCallRequested, traceparent: str | None) -> Awaitable[bool]:
            raise RuntimeError(call.call_id, traceparent)

    assert isinstance(await planner(Closing(), Failing()).plan(turn()), PlanFailed)
    assert closed.is_set()


async def test_a_cancelled_run_is_planned_no_further() -> None:
    """Its model is listened to no longer, and asked for no later turn; other runs go on."""
    mine, other = StepModel(), StepModel()
    planners = Planner(
        Router({"mine": mine, "other": other}, "mine"), Registry([search]), Dispatched(confirmed=True), lambda: START
    )
    cancelled = asyncio.create_task(planners.plan(turn(RequestSubmitted(prompt="x", model="mine"))))
    kept = asyncio.create_task(planners.plan(turn(RequestSubmitted(prompt="x", model="other"), correlation_id="kept")))
    await asyncio.sleep(0)
    planners.cancel(RUN)
    plan = await cancelled
    assert isinstance(plan, PlanFailed)
    assert plan.error.code == FailureCode.CANCELLED
    other.text("done").finish()
    assert isinstance(await kept, PlanCreated)
    later = await planners.plan(turn(RequestSubmitted(prompt="x", model="mine"), turn=2))
    assert isinstance(later, PlanFailed)
    assert len(mine.asked) == 1
