"""The runs table: one partition of it in memory, and what its next transaction has to write. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from structlog.stdlib import get_logger

from schemas.codec import Malformed, encode, rewritten_size
from schemas.control import DeadlineReached
from schemas.events import RUN_EVENTS, Row, RunEvent
from schemas.failure import Failure, FailureCode
from schemas.record import Record
from schemas.rows import FinishedRow
from schemas.submission import Rejection, Unidentified, read_submission
from schemas.tool_call import ToolCallFailed, ToolCallRequested, ToolCallSucceeded, ToolCallTimedOut
from streams.routes import Outgoing, Routes
from streams.runs.commands import Command, DispatchCall, RequestTurn, Respond, StopCalls
from streams.runs.deadlines import Deadlines
from streams.runs.expiry import Expiry
from streams.runs.reduce import Fact, Transition, reduce
from streams.runs.run import OpenRun, Run, changed_rows, rows_of

log = get_logger()

MAX_EVENT_BYTES = 1024 * 1024
"""Size of the largest run event that is folded, in bytes of JSON as we write it. Rows hold a request and an answer, or
plan and outcome of a call, together, and have to fit into a record (`MAX_RECORD_BYTES`)."""

ALREADY_KNOWN = "its correlation id already names a run"


@dataclass(slots=True)
class Batch:
    """What one transaction writes: rows by key (None deletes), other records, and how far the inputs were read."""

    rows: dict[str, Row | None] = field(default_factory=dict)
    records: list[Outgoing] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    """Next offset to read, by input topic."""
    folded: int = 0
    """How many input records this batch stands for, and how many bytes of value they had."""
    bytes: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write at all."""
        return not self.offsets

    @property
    def is_urgent(self) -> bool:
        """Whether someone waits for it: it ends or advances a run. Other facts can ride along a little later."""
        return bool(self.records)


class Table:
    """The runs of one partition: folds records, and keeps what the next transaction has to write."""

    def __init__(
        self,
        partition: int,
        routes: Routes,
        default_timeout_ms: int,
        runs: Mapping[str, Run],
        topics: Collection[str],
    ) -> None:
        """Start from the runs that the changelog holds. `topics` are those the broker has; it may change meanwhile."""
        self._topics = topics
        self.partition = partition
        self.deadlines = Deadlines()
        self._expiry = Expiry()
        self._routes = routes
        self._default_timeout_ms = default_timeout_ms
        self._runs = dict(runs)
        self.pending = Batch()
        for name, run in sorted(self._runs.items(), key=lambda item: _since(item[1])):
            self._watch(name, None, run)

    def __len__(self) -> int:
        """Count the runs that are open."""
        return sum(isinstance(run, OpenRun) for run in self._runs.values())

    def get(self, correlation_id: str) -> Run | None:
        """Return what is known of a run."""
        return self._runs.get(correlation_id)

    def fold(self, record: Record) -> None:
        """Apply one input record. One that cannot be read becomes a dead letter; nothing else can go wrong."""
        try:
            fact = self._read(record)
            cause = fact if isinstance(fact, str) else self._apply(record, fact)
        except Exception as error:  # noqa: BLE001 - a fault of ours in one run must not stop all runs of the partition
            cause = f"internal error: {error!r}"
        if cause is not None:
            log.warning("dead letter", record=f"{record.topic}-{record.partition}@{record.offset}", cause=cause)
            self.pending.records.append(self._routes.dead_letter(record, cause))
        self.pending.offsets[record.topic] = record.offset + 1
        self.pending.folded += 1
        self.pending.bytes += len(record.value or b"")

    def _forget(self, now: datetime) -> None:
        """Drop the rows of runs that have expired."""
        for name in self._expiry.pop_due(now):
            run = self._runs.get(name)
            if run is not None and _may_expire(run):
                del self._runs[name]
                self.pending.rows.update(dict.fromkeys(rows_of({name: run})))

    def take_batch(self) -> Batch:
        """Hand over what is to be written and start an empty batch."""
        batch, self.pending = self.pending, Batch()
        return batch

    def due(self, now: datetime) -> list[Outgoing]:
        """Say, as records to publish, whose time is up at `now`."""
        return [
            self._routes.deadline(DeadlineReached(correlation_id=name, deadline_at=deadline), self.partition)
            for name in self.deadlines.pop_due(now)
            if (deadline := _deadline(self._runs.get(name))) is not None
        ]

    def _read(self, record: Record) -> Fact | str:
        """Read a record as a fact, or say why it is none."""
        if record.topic == self._routes.requests:
            submission = read_submission(record, self._default_timeout_ms)
            return submission.reason if isinstance(submission, Unidentified) else submission
        event = RUN_EVENTS.decode(record.value)
        if isinstance(event, Malformed):
            return event.reason
        size = rewritten_size(event, record.value)
        return event if size <= MAX_EVENT_BYTES else _too_large(event, size)

    def _apply(self, record: Record, fact: Fact) -> str | None:
        """Fold a fact; return the cause of a dead letter. What may fail comes first, so a failure changes nothing."""
        name = fact.correlation_id
        before = self._runs.get(name)
        transition = reduce(before, fact, record.at)
        if transition.run is before:
            self._watch_again(fact, record.at, before)
            return f"rejected, and {ALREADY_KNOWN}: {fact.error.message}" if isinstance(fact, Rejection) else None
        trace = _traceparent(before) or _traceparent(transition.run) or record.traceparent
        records = [self._record_for(command, transition, trace) for command in transition.commands]
        self._runs[name] = transition.run
        self.pending.rows.update(changed_rows(before, transition.run))
        self.pending.records.extend(records)
        self._watch(name, before, transition.run)
        self._forget(record.at)
        return None

    def _record_for(self, command: Command, transition: Transition, trace: str | None) -> Outgoing:
        match command:
            case DispatchCall():
                return self._dispatch(self._call(command, transition.run), trace)
            case RequestTurn(turn):
                return self._routes.turn(turn, self.partition, trace)
            case Respond(response):
                return self._routes.response(response, self.partition, trace)
            case StopCalls(cancelled):
                return self._routes.cancellation(cancelled, trace)
            case _:
                assert_never(command)

    def _dispatch(self, call: ToolCallRequested, trace: str | None) -> Outgoing:
        """Address a call to its tool's topic, or its failure to the run when nobody has such a topic.

        Writing to a topic that is not there waits in vain, and no run of the partition would go on.
        """
        if self._routes.tool_topic(call.tool) in self._topics:
            return self._routes.call(call, trace)
        error = Failure(code=FailureCode.UNKNOWN_TOOL, message=f"the broker has no topic for the tool {call.tool!r}")
        outcome = ToolCallFailed(
            correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, attempts=0, error=error
        )
        return self._routes.outcome(call, outcome, trace)

    def _call(self, command: DispatchCall, run: Run) -> ToolCallRequested:
        if not isinstance(run, OpenRun) or run.row.request is None or run.row.deadline_at is None:
            message = f"run {command.correlation_id} dispatches a call without having read its request"
            raise AssertionError(message)
        return ToolCallRequested(
            correlation_id=command.correlation_id,
            call_id=command.call.call_id,
            turn=command.turn,
            tool=command.call.tool,
            arguments=command.call.arguments,
            deadline_at=run.row.deadline_at,
            tenant=run.row.request.tenant,
            reply_to=self._routes.reply_to(self.partition),
        )

    def _watch_again(self, fact: Fact, at: datetime, run: Run | None) -> None:
        """Watch a run whose deadline was announced too early: our clock is ahead of the broker's by the difference."""
        if isinstance(fact, DeadlineReached) and isinstance(run, OpenRun) and run.row.ending is None:
            self.deadlines.push(fact.correlation_id, fact.deadline_at + (fact.deadline_at - at))

    def _watch(self, name: str, before: Run | None, after: Run) -> None:
        if _may_expire(after) and not (before is not None and _may_expire(before)):
            self._expiry.push(name, _since(after))
        deadline = _deadline(after)
        if deadline is not None and deadline != _deadline(before):
            self.deadlines.push(name, deadline)


def _too_large(event: RunEvent, size: int) -> Fact | str:
    """Turn an outcome that no row can hold into a failure of its call; anything else is refused."""
    message = f"the {event.type} is {size:,} bytes, the limit is {MAX_EVENT_BYTES:,}"
    match event:
        case ToolCallSucceeded() | ToolCallFailed() | ToolCallTimedOut():
            error = Failure(code=FailureCode.RESULT_TOO_LARGE, message=message)
            return ToolCallFailed(correlation_id=event.correlation_id, call_id=event.call_id, error=error)
        case _:
            return message


def encode_rows(rows: Mapping[str, Row | None], topic: str, partition: int) -> list[Outgoing]:
    """Write rows as changelog records; a row that is gone is a tombstone."""
    return [
        Outgoing(topic, key.encode(), encode(row) if row is not None else None, partition) for key, row in rows.items()
    ]


def _since(run: Run) -> datetime:
    return run.finished_at if isinstance(run, FinishedRow) else run.row.last_at


def _may_expire(run: Run) -> bool:
    """Tell whether no response is expected: it was given, or the request has not been read."""
    return isinstance(run, FinishedRow) or run.row.request is None


def _deadline(run: Run | None) -> datetime | None:
    return run.row.deadline_at if isinstance(run, OpenRun) else None


def _traceparent(run: Run | None) -> str | None:
    return run.row.traceparent if isinstance(run, OpenRun) else None
