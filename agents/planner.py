"""The planner: asks a model what to do in one turn and publishes its calls while it still speaks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from agents.clock import Clock, milliseconds_until
from agents.llm.model import (
    CallSealed,
    CallStarted,
    ChatModel,
    Conversation,
    Finished,
    ModelCallFailed,
    ModelError,
    TextDelta,
)
from agents.tools.errors import ToolError
from agents.tools.registry import Registry
from schemas.base import Json, bounded_depth
from schemas.codec import encode
from schemas.failure import Failure, FailureCode
from schemas.ids import call_id, canonical_json
from schemas.plan import MAX_CALLS, PlanCreated, PlanFailed, PlannedCall
from schemas.request import RequestSubmitted
from schemas.run import Usage
from schemas.tool_call import ReplyTo, ToolCallRequested
from schemas.turn import TurnRecord

MAX_PLAN_BYTES = 1024 * 1024
"""Size of the largest plan, in bytes of JSON: it has to fit into a record together with what becomes of it."""

MAX_NAME_CHARACTERS = 128
"""How much is kept of the name of a tool that a model makes up. Tools' own names are not longer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn to plan: the request, which turn it is (from 1), what came before, and where its run lives."""

    correlation_id: str
    turn: int
    request: RequestSubmitted
    deadline_at: datetime
    reply_to: ReplyTo
    history: tuple[TurnRecord, ...] = ()
    traceparent: str | None = None


class Dispatch(Protocol):
    """Publishes a call now. Awaiting what it returns tells whether the broker has it."""

    def __call__(self, call: ToolCallRequested, traceparent: str | None) -> Awaitable[bool]:
        """Start publishing `call`; the awaited value is False when the broker did not confirm it."""
        ...


class ModelDirectory(Protocol):
    """Finds a model by its name."""

    def find(self, name: str | None) -> ChatModel:
        """Return the model called `provider:name`, the default one for None. Raises `ModelUnknown`."""
        ...


@dataclass(slots=True)
class _Draft:
    """A plan while the model still speaks."""

    text: list[str] = field(default_factory=list)
    calls: list[PlannedCall] = field(default_factory=list)
    seen: Counter[bytes] = field(default_factory=Counter)
    confirmations: dict[str, Awaitable[bool]] = field(default_factory=dict)
    finished: Finished = field(default_factory=Finished)


class Planner:
    """Turns one `Turn` into one plan, publishing calls of pure tools the moment they are sealed."""

    def __init__(self, models: ModelDirectory, registry: Registry, dispatch: Dispatch, clock: Clock) -> None:
        """Take the models to ask, the tools there are, the way to publish a call, and the time."""
        self._models = models
        self._registry = registry
        self._dispatch = dispatch
        self._clock = clock

    async def plan(self, turn: Turn) -> PlanCreated | PlanFailed:
        """Ask the model and return the plan. Every failure is a `PlanFailed`; only cancellation escapes.

        When this returns, every call the plan marks `dispatched` has been confirmed by the broker: the aggregator
        publishes the others, so none is lost.
        """
        draft = _Draft()
        remaining = milliseconds_until(turn.deadline_at, self._clock())
        deadline = asyncio.timeout(max(0.0, remaining / 1000))
        try:
            async with deadline:
                await self._listen(turn, draft)
                calls = await _confirmed(draft)
            return _plan_of(turn, draft, calls)
        except ModelError as error:
            return _failed(turn, draft, error.code, str(error), retryable=error.retryable)
        except ToolError as error:  # the request's allowlist names a tool that is not here
            return _failed(turn, draft, error.code, str(error), retryable=error.retryable)
        except TimeoutError as error:
            if deadline.expired():
                message = "the deadline came before the plan was complete"
                return _failed(turn, draft, FailureCode.DEADLINE_EXCEEDED, message)
            return _failed(turn, draft, FailureCode.MODEL_FAILED, f"the model timed out: {error}", retryable=True)
        except Exception as error:  # noqa: BLE001 - whatever a model adapter raises must end in an event, not in a stuck run
            return _failed(turn, draft, FailureCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:2000])

    async def _listen(self, turn: Turn, draft: _Draft) -> None:
        model = self._models.find(turn.request.model)
        conversation = Conversation(
            prompt=turn.request.prompt,
            turn=turn.turn,
            history=turn.history,
            tools=self._registry.specs(turn.request.tools),
            model=turn.request.model or "",
        )
        async with aclosing(model.stream(conversation)) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        draft.text.append(text)
                    case CallStarted():
                        pass  # a call counts once it is sealed
                    case CallSealed():
                        self._take(turn, draft, event)
                    case Finished():
                        draft.finished = event

    def _take(self, turn: Turn, draft: _Draft, sealed: CallSealed) -> None:
        if len(draft.calls) + sum(len(earlier.calls) for earlier in turn.history) >= MAX_CALLS:
            reason = f"more than {MAX_CALLS:,} calls in one run; narrow the prompt"
            raise ModelCallFailed(name=turn.request.model or "default", reason=reason)
        call = self._planned(turn, draft, sealed)
        draft.calls.append(call)
        if call.error is None and call.effect == "pure":
            draft.confirmations[call.call_id] = self._dispatch(_request_for(turn, call), turn.traceparent)

    def _planned(self, turn: Turn, draft: _Draft, sealed: CallSealed) -> PlannedCall:
        called = sealed.tool[:MAX_NAME_CHARACTERS]
        arguments, fault = _writable(sealed.arguments)
        content = canonical_json([called, arguments])
        name = call_id(turn.correlation_id, turn.turn, called, arguments, draft.seen[content])
        draft.seen[content] += 1
        tool = self._registry.get(called)
        offered = tuple(self._registry) if turn.request.tools is None else turn.request.tools
        if tool is None or called not in offered:
            error: Failure | None = _unknown_tool(called, offered)
        else:
            error = fault or tool.check(arguments)
        return PlannedCall(
            call_id=name,
            tool=called,
            arguments=arguments,
            effect=tool.spec.effect if tool is not None else "pure",
            error=error,
        )


def _request_for(turn: Turn, call: PlannedCall) -> ToolCallRequested:
    return ToolCallRequested(
        correlation_id=turn.correlation_id,
        call_id=call.call_id,
        turn=turn.turn,
        tool=call.tool,
        arguments=call.arguments,
        deadline_at=turn.deadline_at,
        tenant=turn.request.tenant,
        reply_to=turn.reply_to,
    )


def _plan_of(turn: Turn, draft: _Draft, calls: tuple[PlannedCall, ...]) -> PlanCreated | PlanFailed:
    plan = PlanCreated(
        correlation_id=turn.correlation_id,
        turn=turn.turn,
        calls=calls,
        text="".join(draft.text) or None,
        model=draft.finished.model,
        usage=draft.finished.usage,
    )
    size = len(encode(plan))
    if size > MAX_PLAN_BYTES:
        message = f"the model wrote {size:,} bytes in one turn, the limit is {MAX_PLAN_BYTES:,}"
        return _failed(turn, draft, FailureCode.MODEL_FAILED, message)
    return plan


async def _confirmed(draft: _Draft) -> tuple[PlannedCall, ...]:
    """Mark the calls that the broker has. One it did not confirm stays unmarked, so the aggregator publishes it."""
    confirmed = {name: await confirmation for name, confirmation in draft.confirmations.items()}
    return tuple(
        call.model_copy(update={"dispatched": True}) if confirmed.get(call.call_id) else call for call in draft.calls
    )


def _writable(arguments: Json) -> tuple[Json, Failure | None]:
    """Return the arguments as they can be recorded: null, and why, when no record can hold them."""
    try:
        canonical_json(bounded_depth(arguments))
    except (TypeError, ValueError) as error:
        return None, Failure(code=FailureCode.INVALID_ARGUMENTS, message=f"the arguments cannot be recorded: {error}")
    return arguments, None


def _unknown_tool(name: str, known: Sequence[str]) -> Failure:
    message = f"no tool named {name!r} for this request; there are: {', '.join(sorted(known)) or 'none'}"
    return Failure(code=FailureCode.UNKNOWN_TOOL, message=message)


def _failed(turn: Turn, draft: _Draft, code: FailureCode, message: str, *, retryable: bool = False) -> PlanFailed:
    usage: Usage = draft.finished.usage
    failure = Failure(code=code, message=message, retryable=retryable)
    return PlanFailed(correlation_id=turn.correlation_id, turn=turn.turn, error=failure, usage=usage)
