"""Where each event goes: topic, key, partition and headers of everything this project writes."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.base import Event
from schemas.codec import encode
from schemas.control import DeadlineReached
from schemas.plan import PlanCreated, PlanFailed
from schemas.record import TRACEPARENT, Headers, Record
from schemas.run import RunCancelled, RunFinished
from schemas.tool_call import Outcome, ReplyTo, ToolCallRequested
from schemas.topics import prefixed, tool_topic
from schemas.turn import TurnRequested
from streams import topology

JSON: Headers = (("content-type", b"application/json"),)
MAX_DEAD_LETTER_BYTES = 3 * 1024 * 1024
"""How much of an unreadable record is kept in `dead-letters`, in bytes."""

MAX_DEAD_LETTER_KEY_BYTES = 64 * 1024
MAX_DEAD_LETTER_HEADER_BYTES = 64 * 1024
"""How much key, and how much headers, a dead letter keeps. Compressed, a record may bring any amount of either."""

CE_SOURCE = b"async-toolformer-orchestrator/aggregator"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. `partition` None leaves the choice to the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


class Routes:
    """The addresses of one installation, that is of one topic prefix."""

    def __init__(self, prefix: str) -> None:
        """Take what goes before every topic, group and transactional id."""
        self.prefix = prefix
        self.requests = self.topic(topology.REQUESTS)
        self.turns = self.topic(topology.TURNS)
        self.run_events = self.topic(topology.RUN_EVENTS)
        self.responses = self.topic(topology.RESPONSES)
        self.cancellations = self.topic(topology.CANCELLATIONS)
        self.runs_changelog = self.topic(topology.RUNS_CHANGELOG)
        self.dead_letters = self.topic(topology.DEAD_LETTERS)

    def topic(self, name: str) -> str:
        """Name a topic of this installation."""
        return prefixed(self.prefix, name)

    def tool_topic(self, tool: str) -> str:
        """Name the topic of a tool's calls."""
        return self.topic(tool_topic(tool))

    def group(self, role: topology.Role, *, toolset: str = "") -> str:
        """Name a role's consumer group."""
        return self.prefix + role.group.format(toolset=toolset)

    def transactional_id(self, partition: int) -> str:
        """Name the one writer of a partition of the runs table. Static, so that starting a new one fences the old."""
        return f"{self.prefix}orchestrator-aggregator-{partition}"

    def reply_to(self, partition: int) -> ReplyTo:
        """Say where outcomes of a run go that lives on `partition`."""
        return ReplyTo(topic=self.run_events, partition=partition)

    def call(self, call: ToolCallRequested, traceparent: str | None) -> Outgoing:
        """Address a call. Its key is the call id, so that a repetition meets the worker that remembers it."""
        return _event(self.tool_topic(call.tool), call.call_id, call, traceparent)

    def outcome(self, call: ToolCallRequested, outcome: Outcome, traceparent: str | None) -> Outgoing:
        """Address an outcome: to where the call says."""
        return _event(call.reply_to.topic, call.correlation_id, outcome, traceparent, call.reply_to.partition)

    def plan(self, plan: PlanCreated | PlanFailed, reply_to: ReplyTo, traceparent: str | None) -> Outgoing:
        """Address a plan: to the run's own partition."""
        return _event(reply_to.topic, plan.correlation_id, plan, traceparent, reply_to.partition)

    def turn(self, turn: TurnRequested, partition: int, traceparent: str | None) -> Outgoing:
        """Address a further turn: to the run's own partition number."""
        return _event(self.turns, turn.correlation_id, turn, traceparent, partition)

    def deadline(self, event: DeadlineReached, partition: int) -> Outgoing:
        """Address the fact that a run's time is up."""
        return _event(self.run_events, event.correlation_id, event, None, partition)

    def cancellation(self, event: RunCancelled, traceparent: str | None) -> Outgoing:
        """Address the news that a run was cancelled: to every process."""
        return _event(self.cancellations, event.correlation_id, event, traceparent)

    def response(self, response: RunFinished, partition: int, traceparent: str | None) -> Outgoing:
        """Address a response, with the headers that make it a CloudEvent in binary mode."""
        event = _event(self.responses, response.correlation_id, response, traceparent, partition)
        finished_at = response.finished_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        cloud_event: Headers = (
            ("ce_specversion", b"1.0"),
            ("ce_id", response.correlation_id.encode()),
            ("ce_source", CE_SOURCE),
            ("ce_type", response.type.encode()),
            ("ce_time", finished_at.encode()),
        )
        return Outgoing(event.topic, event.key, event.value, event.partition, event.headers + cloud_event)

    def dead_letter(self, record: Record, cause: str) -> Outgoing:
        """Address a record that nobody can read: its bytes as they were, its cause and origin in headers."""
        origin: Headers = (
            ("dlq-cause", cause.encode()),
            ("dlq-topic", record.topic.encode()),
            ("dlq-partition", str(record.partition).encode()),
            ("dlq-offset", str(record.offset).encode()),
        )
        value = record.value
        if value is not None and len(value) > MAX_DEAD_LETTER_BYTES:
            # Decompressed it is larger than any record may be. The whole of it stays where the headers say.
            origin += (("dlq-cut-from-bytes", str(len(value)).encode()),)
            value = value[:MAX_DEAD_LETTER_BYTES]
        if value is None and record.key is None:
            # aiokafka refuses to write neither key nor value; unwritten it would stop its partition for good.
            origin += (("dlq-value", b"null"),)
            value = b""
        key = record.key
        if key is not None and len(key) > MAX_DEAD_LETTER_KEY_BYTES:
            origin += (("dlq-key-cut-from-bytes", str(len(key)).encode()),)
            key = key[:MAX_DEAD_LETTER_KEY_BYTES]
        kept, size = record.headers, _size_of(record.headers)
        if size > MAX_DEAD_LETTER_HEADER_BYTES:
            origin += (("dlq-headers-left-out-bytes", str(size).encode()),)
            kept = ()
        return Outgoing(self.dead_letters, key, value, None, kept + origin)


def _size_of(headers: Headers) -> int:
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


def _event(topic: str, key: str, event: Event, traceparent: str | None, partition: int | None = None) -> Outgoing:
    trace: Headers = ((TRACEPARENT, traceparent.encode()),) if traceparent else ()
    return Outgoing(topic, key.encode(), encode(event), partition, JSON + trace)
