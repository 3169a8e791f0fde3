"""Facts of one run, short enough to write a story with, and the fold that tells what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from schemas.base import Json
from schemas.control import CancelRequested, DeadlineReached
from schemas.failure import Failure, FailureCode
from schemas.plan import PlanCreated, PlanFailed, PlannedCall
from schemas.request import RequestSubmitted
from schemas.rows import FinishedRow
from schemas.run import RunFinished, Usage
from schemas.submission import Rejection, Submission
from schemas.tool_call import ToolCallFailed, ToolCallSucceeded, ToolCallTimedOut
from schemas.tool_spec import Effect
from schemas.turn import TurnRequested
from streams.runs.commands import Command, DispatchCall, RequestTurn, Respond
from streams.runs.reduce import Fact, Transition, reduce
from streams.runs.run import OpenRun, Run

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""When the request of every story is appended."""

RUN = "run-1"


def at(milliseconds: float) -> datetime:
    """Return the moment so many milliseconds after `START`."""
    return START + timedelta(milliseconds=milliseconds)


def submitted(request: RequestSubmitted | None = None, *, run: str = RUN, timeout_ms: int = 60_000) -> Submission:
    """An accepted request, appended at `START`."""
    return Submission(run, request or RequestSubmitted(prompt="do it"), START, at(timeout_ms))


def results_only() -> Submission:
    """A request for one turn and no answer."""
    return submitted(RequestSubmitted(prompt="do it", mode="results"))


def rejected(*, run: str = RUN) -> Rejection:
    """A request that cannot be run."""
    return Rejection(run, Failure(code=FailureCode.INVALID_REQUEST, message="prompt: is empty"), START)


def call(name: str, *, effect: Effect = "pure", dispatched: bool | None = None, error: str = "") -> PlannedCall:
    """Plan a call named `name`; a pure one has been published already, unless it can never run."""
    return PlannedCall(
        call_id=name,
        tool="search",
        arguments={"query": name},
        effect=effect,
        dispatched=(effect == "pure" and not error) if dispatched is None else dispatched,
        error=Failure(code=FailureCode.UNKNOWN_TOOL, message=error) if error else None,
    )


def planned(*calls: PlannedCall | str, turn: int = 1, text: str | None = None) -> PlanCreated:
    """A plan; a string stands for a pure call of that name."""
    made = tuple(call(one) if isinstance(one, str) else one for one in calls)
    usage = Usage(input_tokens=10, output_tokens=1)
    return PlanCreated(correlation_id=RUN, turn=turn, calls=made, text=text, usage=usage)


def answered(text: str, turn: int = 2) -> PlanCreated:
    """A plan without calls: the answer."""
    return planned(turn=turn, text=text)


def plan_failed(turn: int = 1) -> PlanFailed:
    """The model gave no plan."""
    error = Failure(code=FailureCode.MODEL_FAILED, message="the model is down")
    return PlanFailed(correlation_id=RUN, turn=turn, error=error)


def succeeded(name: str, result: Json = "found") -> ToolCallSucceeded:
    """The call `name` returned."""
    return ToolCallSucceeded(correlation_id=RUN, call_id=name, result=result, started_at=at(5), duration_ms=2.5)


def failed(name: str, message: str = "out of order", code: FailureCode = FailureCode.TOOL_FAILED) -> ToolCallFailed:
    """The call `name` ended without a result."""
    return ToolCallFailed(correlation_id=RUN, call_id=name, error=Failure(code=code, message=message))


def timed_out(name: str) -> ToolCallTimedOut:
    """The call `name` took too long."""
    error = Failure(code=FailureCode.TOOL_TIMED_OUT, message="too slow", retryable=True)
    return ToolCallTimedOut(correlation_id=RUN, call_id=name, error=error)


def cancelled(reason: str | None = None) -> CancelRequested:
    """Someone wants the run to end."""
    return CancelRequested(correlation_id=RUN, reason=reason)


def deadline(ms: float = 0) -> DeadlineReached:
    """The run's time, `ms` after `START`, is up."""
    return DeadlineReached(correlation_id=RUN, deadline_at=at(ms))


@dataclass(slots=True)
class Story:
    """What became of a run: its state after each fact, and what was written."""

    run: Run | None = None
    transitions: list[Transition] = field(default_factory=list)

    @property
    def commands(self) -> list[Command]:
        """All that was written, in order."""
        return [command for transition in self.transitions for command in transition.commands]

    @property
    def responses(self) -> list[RunFinished]:
        """The responses; never more than one."""
        return [command.response for command in self.commands if isinstance(command, Respond)]

    @property
    def response(self) -> RunFinished:
        """The one response."""
        (response,) = self.responses
        return response

    @property
    def turns(self) -> list[TurnRequested]:
        """The further turns that were asked for."""
        return [command.turn for command in self.commands if isinstance(command, RequestTurn)]

    @property
    def dispatched(self) -> list[str]:
        """Ids of the calls that the aggregator published."""
        return [command.call.call_id for command in self.commands if isinstance(command, DispatchCall)]

    @property
    def open(self) -> OpenRun:
        """The run, which must be open."""
        assert isinstance(self.run, OpenRun)
        return self.run

    @property
    def finished(self) -> FinishedRow:
        """What stays of the run, which must have ended."""
        assert isinstance(self.run, FinishedRow)
        return self.run


def placed(facts: Iterable[Fact]) -> list[tuple[Fact, datetime]]:
    """Give each fact its broker time: a request `START`, the others 10, 20, ... ms later in their one topic."""
    times, position = [], 0
    for fact in facts:
        position += 0 if isinstance(fact, Submission | Rejection) else 1
        times.append((fact, START if isinstance(fact, Submission | Rejection) else at(10 * position)))
    return times


def tell(*facts: Fact) -> Story:
    """Fold facts in the order in which they are read."""
    return tell_placed(placed(facts))


def tell_placed(facts: Sequence[tuple[Fact, datetime]]) -> Story:
    """Fold facts that have their broker times."""
    story = Story()
    for fact, when in facts:
        transition = reduce(story.run, fact, when)
        story.run = transition.run
        story.transitions.append(transition)
    return story
