"""A log made up in memory: one healthy installation that answered a few runs, to be spoilt one way at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from schemas.base import Event
from schemas.codec import encode
from schemas.events import TURNS
from schemas.plan import PlanCreated, PlannedCall
from schemas.record import Record
from schemas.tool_call import ToolCallRequested, ToolCallSucceeded
from schemas.turn import TurnRequested
from streams import topology
from streams.routes import Outgoing, Routes
from streams.runs.table import Table, encode_rows
from tests.support.facts import START
from tests.support.whole_log import Execution, GroupCommit, WholeLog

ROUTES = Routes("made-up-")
PARTITION = 0
START_MS = round(START.timestamp() * 1000)
TOOL_TOPIC = ROUTES.tool_topic("look")
EFFECT_TOPIC = ROUTES.tool_topic("pay")
STEP_MS = 10


class MadeUpLog:
    """Appends records as a broker would, 10 ms apart, and plays all roles by hand."""

    def __init__(self) -> None:
        """Start with empty topics."""
        self.log = WholeLog(ROUTES, [], None)
        self._offsets: dict[str, int] = defaultdict(int)
        self._now = START_MS
        self._table = Table(PARTITION, ROUTES, 60_000, {}, {TOOL_TOPIC, EFFECT_TOPIC})

    def append(self, topic: str, key: str, value: Event | bytes | None) -> Record:
        """Append a record."""
        self._now += STEP_MS
        data = encode(value) if isinstance(value, Event) else value
        record = Record(topic, PARTITION, self._offsets[topic], self._now, key.encode(), data)
        self._offsets[topic] += 1
        self.log.committed.append(record)
        return record

    def fold(self, record: Record) -> list[Record]:
        """Let the aggregator fold a record and commit; return what it wrote beside rows."""
        self._table.fold(record)
        batch = self._table.take_batch()
        written = [*encode_rows(batch.rows, ROUTES.runs_changelog, PARTITION), *batch.records]
        records = [self._append_outgoing(one) for one in written]
        self.commit(topology.AGGREGATOR, record)
        return [one for one in records if one.topic != ROUTES.runs_changelog]

    def commit(self, role: topology.Role, record: Record) -> None:
        """Let a role say that it has finished a record, and those before it."""
        group = ROUTES.group(role, toolset="default")
        self._now += STEP_MS
        self.log.commits.append(GroupCommit(group, (record.topic, record.partition), record.offset + 1, "", self._now))

    def run(self, call: ToolCallRequested, record: Record) -> list[Record]:
        """Let a tool run a call and acknowledge it; return what the aggregator wrote then."""
        self._now += STEP_MS
        self.log.executions.append(Execution(call.call_id, self._now))
        outcome = ToolCallSucceeded(correlation_id=call.correlation_id, call_id=call.call_id, result=1)
        written = self.fold(self.append(ROUTES.run_events, call.correlation_id, outcome))
        self.commit(topology.TOOLS, record)
        return written

    def _append_outgoing(self, one: Outgoing) -> Record:
        return self.append(one.topic, (one.key or b"").decode(), one.value)


def healthy() -> WholeLog:
    """Make up two runs, each of two turns with a call of `look`, then one of `pay`, then the answer."""
    made = MadeUpLog()
    for name in ("run-1", "run-2"):
        request = made.append(ROUTES.requests, name, b'{"prompt": "do it"}')
        made.fold(request)
        look = _call(name, 1, "look")
        published = made.append(TOOL_TOPIC, look.call_id, look)
        made.fold(made.append(ROUTES.run_events, name, _plan(look)))
        made.commit(topology.PLANNER, request)
        (turn,) = made.run(look, published)
        pay = _call(name, 2, "pay")
        (payment,) = made.fold(made.append(ROUTES.run_events, name, _plan(pay, effectful=True)))
        made.commit(topology.PLANNER, turn)
        (turn,) = made.run(pay, payment)
        requested = TURNS.decode(turn.value)
        assert isinstance(requested, TurnRequested)
        made.fold(made.append(ROUTES.run_events, name, PlanCreated(correlation_id=name, turn=3, text="done")))
        made.commit(topology.PLANNER, turn)
    return made.log


def _call(name: str, turn: int, tool: str) -> ToolCallRequested:
    return ToolCallRequested(
        correlation_id=name,
        call_id=f"{name}-{tool}",
        turn=turn,
        tool=tool,
        arguments={},
        deadline_at=START.replace(hour=13),
        reply_to=ROUTES.reply_to(PARTITION),
    )


def _plan(call: ToolCallRequested, *, effectful: bool = False) -> PlanCreated:
    planned = PlannedCall(
        call_id=call.call_id,
        tool=call.tool,
        arguments=call.arguments,
        effect="effectful" if effectful else "pure",
        dispatched=not effectful,
    )
    return PlanCreated(correlation_id=call.correlation_id, turn=call.turn, calls=(planned,))


def found(log: WholeLog, topic: str, text: str = "", key: str | None = None) -> Record:
    """Return the first record of a topic with that text in its value, and that key."""
    return next(
        one for one in log.of(topic) if text.encode() in (one.value or b"") and (key is None or one.key == key.encode())
    )


def changed(log: WholeLog, record: Record, change: Callable[[Record], Record]) -> None:
    """Put another record in the place of one."""
    log.committed[log.committed.index(record)] = change(record)


def moved(log: WholeLog, record: Record, ms: int) -> None:
    """Append a record sooner or later than it was."""
    changed(log, record, lambda one: replace(one, timestamp_ms=one.timestamp_ms + ms))
