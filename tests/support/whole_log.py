"""Everything an installation has left behind, as values: what a checker judges, from a broker or made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.events import RESPONSES, RUN_EVENTS, TOOL_CALLS, TURNS
from schemas.plan import PlanCreated, PlanFailed
from schemas.record import Record
from schemas.run import RunFinished
from schemas.submission import Rejection, Submission, Unidentified, read_submission
from schemas.tool_call import ToolCallFailed, ToolCallRequested, ToolCallSucceeded, ToolCallTimedOut
from schemas.topics import TOOL_TOPIC_PREFIX
from schemas.turn import TurnRequested
from streams.routes import Routes

Source = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A tool was run for a call, from its own account. `at_ms` is when it began, milliseconds since the epoch."""

    call_id: str
    at_ms: float
    process: int = 0


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """A group said how far it is. `at_ms` is the broker's time."""

    group: str
    source: Source
    offset: int
    metadata: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Span:
    """Milliseconds since the epoch between which a deadline could not be kept, because what keeps it was killed."""

    start_ms: float
    end_ms: float


@dataclass(slots=True)
class WholeLog:
    """All records of all topics as two kinds of reader see them, all commits, and the tools' own account.

    Records of a partition are in the order of their offsets, commits of a group in the order in which they were made.
    """

    routes: Routes
    committed: list[Record]
    uncommitted: list[Record] | None = None
    """None: nothing was aborted."""
    commits: list[GroupCommit] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    excused: Sequence[Span] = ()
    default_timeout_ms: int = 60_000
    toolset: str = "default"

    def of(self, topic: str) -> list[Record]:
        """Return the committed records of a topic."""
        return [record for record in self.committed if record.topic == topic]


Outcome = ToolCallSucceeded | ToolCallFailed | ToolCallTimedOut
Plan = PlanCreated | PlanFailed


@dataclass(slots=True)
class Index:
    """What is found in the committed records, by what it is about. Times are milliseconds since the epoch."""

    requests: dict[str, tuple[Submission | Rejection, int]] = field(default_factory=dict)
    """The first request of each run."""
    responses: dict[str, list[tuple[RunFinished, Record]]] = field(default_factory=dict)
    plans: dict[tuple[str, int], list[tuple[Plan, int]]] = field(default_factory=dict)
    turns: dict[tuple[str, int], int] = field(default_factory=dict)
    calls: dict[str, list[tuple[ToolCallRequested, Record]]] = field(default_factory=dict)
    outcomes: dict[str, list[tuple[Outcome, int]]] = field(default_factory=dict)
    buried: dict[tuple[str, int, int], int] = field(default_factory=dict)
    """When a record, by its place, was found in `dead-letters`."""

    @classmethod
    def of(cls, log: WholeLog) -> Index:
        """Sort a log's records."""
        index = cls()
        for record in log.committed:
            index._add(record, log)
        return index

    def _add(self, record: Record, log: WholeLog) -> None:
        routes = log.routes
        if record.topic == routes.requests:
            submission = read_submission(record, log.default_timeout_ms)
            if not isinstance(submission, Unidentified):
                self.requests.setdefault(submission.correlation_id, (submission, record.timestamp_ms))
        elif record.topic == routes.run_events:
            self._add_event(record)
        elif record.topic == routes.dead_letters:
            self.buried.setdefault(_origin(record), record.timestamp_ms)
        elif record.topic.startswith(routes.prefix + TOOL_TOPIC_PREFIX):
            call = TOOL_CALLS.decode(record.value)
            if isinstance(call, ToolCallRequested):
                self.calls.setdefault(call.call_id, []).append((call, record))
        else:
            self._add_decision(record, routes)

    def _add_decision(self, record: Record, routes: Routes) -> None:
        """Take in what only an aggregator writes."""
        if record.topic == routes.responses:
            response = RESPONSES.decode(record.value)
            if isinstance(response, RunFinished):
                self.responses.setdefault(response.correlation_id, []).append((response, record))
        elif record.topic == routes.turns:
            turn = TURNS.decode(record.value)
            if isinstance(turn, TurnRequested):
                self.turns.setdefault((turn.correlation_id, turn.turn), record.timestamp_ms)

    def _add_event(self, record: Record) -> None:
        event, at = RUN_EVENTS.decode(record.value), record.timestamp_ms
        match event:
            case PlanCreated() | PlanFailed():
                self.plans.setdefault((event.correlation_id, event.turn), []).append((event, at))
            case ToolCallSucceeded() | ToolCallFailed() | ToolCallTimedOut():
                self.outcomes.setdefault(event.call_id, []).append((event, at))
            case _:
                pass  # nothing is judged by the others

    def effects(self) -> dict[str, int]:
        """Return when calls that have an effect were first planned, by call id."""
        found: dict[str, int] = {}
        for plans in self.plans.values():
            for plan, at in plans:
                for call in plan.calls if isinstance(plan, PlanCreated) else ():
                    if call.effect == "effectful":
                        found.setdefault(call.call_id, at)
        return found


def _origin(record: Record) -> tuple[str, int, int]:
    """Read where a dead letter comes from."""
    headers = {name: (value or b"").decode() for name, value in record.headers}
    return headers["dlq-topic"], int(headers["dlq-partition"]), int(headers["dlq-offset"])
