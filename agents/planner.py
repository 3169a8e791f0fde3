"""The planner: asks a model what to do in one turn and publishes its calls while it still speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from cachetools import TTLCache

from agents.clock import Clock, milliseconds_until
from agents.draft import Draft, PlanInvalid
from agents.llm.model import CallSealed, CallStarted, ChatModel, Conversation, Finished, ModelError, TextDelta
from agents.tools.errors import ToolError
from agents.tools.registry import Registry
from agents.turn import Turn
from schemas.codec import encode
from schemas.failure import Failure, FailureCode
from schemas.plan import PlanCreated, PlanFailed, PlannedCall
from schemas.tool_call import ToolCallRequested

MAX_PLAN_BYTES = 1024 * 1024
"""Size of the largest plan, in bytes of JSON: it has to fit into a record together with what becomes of it."""

REMEMBERED_RUNS = 10_000
REMEMBERED_SECONDS = 3600.0
"""How many cancelled runs a planner remembers, and for how long."""


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


class Planner:
    """Turns one `Turn` into one plan, publishing calls of pure tools the moment they are sealed."""

    def __init__(self, models: ModelDirectory, registry: Registry, dispatch: Dispatch, clock: Clock) -> None:
        """Take the models to ask, the tools there are, the way to publish a call, and the time."""
        self._models = models
        self._registry = registry
        self._dispatch = dispatch
        self._clock = clock
        self._under_way: dict[str, list[asyncio.Timeout]] = {}
        self._cancelled: TTLCache[str, bool] = TTLCache(REMEMBERED_RUNS, REMEMBERED_SECONDS)

    def cancel(self, correlation_id: str) -> None:
        """Stop planning for a run: its model is listened to no longer, and its next plan fails at once."""
        self._cancelled[correlation_id] = True
        for patience in self._under_way.get(correlation_id, ()):
            if not patience.expired():
                patience.reschedule(-1)  # as if its deadline had come

    async def plan(self, turn: Turn) -> PlanCreated | PlanFailed:
        """Ask the model and return the plan. Every failure is a `PlanFailed`; only cancellation escapes.

        When this returns, every call the plan marks `dispatched` has been confirmed by the broker: the aggregator
        publishes the others, so none is lost.
        """
        spoken = _Spoken()
        remaining = milliseconds_until(turn.deadline_at, self._clock())
        if turn.correlation_id in self._cancelled:
            return _failed(turn, spoken, FailureCode.CANCELLED, "the run was cancelled")
        if remaining <= 0:
            return _failed(turn, spoken, FailureCode.DEADLINE_EXCEEDED, "the deadline had come before it was planned")
        deadline = asyncio.timeout(remaining / 1000)
        try:
            async with deadline, self._cancellable(turn, deadline):
                draft = await self._listen(turn, spoken)
                calls = await _confirmed(draft.complete(), spoken)
            return _plan_of(turn, spoken, calls)
        except (
            ModelError,
            ToolError,
            PlanInvalid,
        ) as error:  # a ToolError: the allowlist names a tool that is not here
            return _failed(turn, spoken, error.code, str(error), retryable=error.retryable)
        except TimeoutError as error:
            if turn.correlation_id in self._cancelled:
                return _failed(turn, spoken, FailureCode.CANCELLED, "the run was cancelled")
            if deadline.expired():
                message = "the deadline came before the plan was complete"
                return _failed(turn, spoken, FailureCode.DEADLINE_EXCEEDED, message)
            return _failed(turn, spoken, FailureCode.MODEL_FAILED, f"the model timed out: {error}", retryable=True)
        except Exception as error:  # noqa: BLE001 - whatever a model adapter raises must end in an event, not in a stuck run
            return _failed(turn, spoken, FailureCode.INTERNAL_ERROR, f"{type(error).__name__}: {error}"[:2000])

    @asynccontextmanager
    async def _cancellable(self, turn: Turn, patience: asyncio.Timeout) -> AsyncIterator[None]:
        """Let `cancel` end what is done inside."""
        same_run = self._under_way.setdefault(turn.correlation_id, [])
        same_run.append(patience)
        try:
            yield
        finally:
            same_run.remove(patience)
            if not same_run:
                self._under_way.pop(turn.correlation_id, None)

    async def _listen(self, turn: Turn, spoken: _Spoken) -> Draft:
        model = self._models.find(turn.request.model)
        draft = Draft(turn, self._registry)
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
                        spoken.text.append(text)
                    case CallStarted():
                        pass  # a call counts once it is sealed
                    case CallSealed():
                        self._publish(turn, draft.take(event), spoken)
                    case Finished():
                        spoken.finished = event
        return draft

    def _publish(self, turn: Turn, call: PlannedCall | None, spoken: _Spoken) -> None:
        if call is not None:
            spoken.confirmations[call.call_id] = self._dispatch(_request_for(turn, call), turn.traceparent)


@dataclass(slots=True)
class _Spoken:
    """What a model has said so far, and which calls are on their way already."""

    text: list[str] = field(default_factory=list)
    confirmations: dict[str, Awaitable[bool]] = field(default_factory=dict)
    finished: Finished = field(default_factory=Finished)


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


def _plan_of(turn: Turn, spoken: _Spoken, calls: tuple[PlannedCall, ...]) -> PlanCreated | PlanFailed:
    plan = PlanCreated(
        correlation_id=turn.correlation_id,
        turn=turn.turn,
        calls=calls,
        text="".join(spoken.text) or None,
        model=spoken.finished.model,
        usage=spoken.finished.usage,
    )
    size = len(encode(plan))
    if size > MAX_PLAN_BYTES:
        message = f"the model wrote {size:,} bytes in one turn, the limit is {MAX_PLAN_BYTES:,}"
        return _failed(turn, spoken, FailureCode.MODEL_FAILED, message)
    return plan


async def _confirmed(calls: Sequence[PlannedCall], spoken: _Spoken) -> tuple[PlannedCall, ...]:
    """Mark the calls that the broker has. One it did not confirm stays unmarked, so the aggregator publishes it."""
    confirmed = {name: await confirmation for name, confirmation in spoken.confirmations.items()}
    return tuple(
        call.model_copy(update={"dispatched": True}) if confirmed.get(call.call_id) else call for call in calls
    )


def _failed(turn: Turn, spoken: _Spoken, code: FailureCode, message: str, *, retryable: bool = False) -> PlanFailed:
    failure = Failure(code=code, message=message, retryable=retryable)
    return PlanFailed(correlation_id=turn.correlation_id, turn=turn.turn, error=failure, usage=spoken.finished.usage)
