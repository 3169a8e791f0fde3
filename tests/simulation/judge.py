"""The judge of a simulation: watches every commit, delivery and execution while it happens."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Protocol

import orjson

from schemas.record import Record
from schemas.tool_call import ToolCallRequested
from streams.commit_metadata import MAX_CHARACTERS, decode_finished
from streams.faust_thread import Commit
from tests.simulation.group import Group, Member
from tests.simulation.log import NOTHING, Log, Source
from tests.simulation.toolbox import ROUTES

AGGREGATORS = "aggregators"


class Worker(Protocol):
    """What the judge has to know of a process."""

    name: str
    life: int

    def clock(self) -> datetime:
        """Tell the time by its own clock."""
        ...


class Judge:
    """Collects violations. Knows of the log what anyone can read in it, and nothing of what processes remember."""

    def __init__(self, log: Log) -> None:
        """Listen to the log."""
        self.violations: list[str] = []
        self.executions: Counter[str] = Counter()
        self.served: dict[int, list[tuple[float, float]]] = {}
        """By partition: from when to when someone owned it and was able to work, in milliseconds."""
        self._log = log
        self._ran: set[tuple[str, int, str]] = set()
        self._ended: set[tuple[str, str | int]] = set()
        self._first_plans: dict[tuple[str, int], tuple[Record, set[str]]] = {}
        self._checked: Counter[tuple[str, Source]] = Counter()
        self._open: dict[object, tuple[int, float]] = {}
        log.told = self._told

    def blame(self, violation: str) -> None:
        """Note a violation."""
        self.violations.append(f"{self._log.world.now:.0f} ms: {violation}")

    def opened(self, partition: Owned) -> None:
        """Note that someone is at work on a partition."""
        self._open[partition] = (partition.number, self._log.world.now)

    def closed(self, partition: Owned) -> None:
        """Note that nobody may be."""
        number, since = self._open.pop(partition, (partition.number, self._log.world.now))
        self.served.setdefault(number, []).append((since, self._log.world.now))

    def begun(self, group: Group, member: Member, record: Record) -> None:
        """Check that what is delivered to a rightful owner was not acknowledged."""
        commit = self._log.committed.get((group.name, (record.topic, record.partition)), NOTHING)
        acknowledged = record.offset < commit.offset or record.offset in decode_finished(*commit)
        if acknowledged and group.is_current(member):
            self.blame(f"{_place(record)} is handled again after its acknowledgement")

    def committed(self, group: str, source: Source, commit: Commit) -> None:
        """Check that all that is acknowledged has its effect in the log."""
        before = self._log.committed.get((group, source), NOTHING)
        if commit.offset < before.offset:
            self.blame(f"{group} goes back on {source} from {before.offset} to {commit.offset}")
        if len(commit.metadata) > MAX_CHARACTERS:
            self.blame(f"the broker refuses {len(commit.metadata)} characters of metadata")
        start = self._checked[group, source]
        ahead = decode_finished(*commit)
        for record in self._log.read(source, start, commit.offset - start + len(ahead))[0]:
            is_acknowledged = record.offset < commit.offset or record.offset in ahead
            if is_acknowledged and not self._has_effect(record):
                self.blame(f"{group} acknowledges {_place(record)} before what comes of it is in the log")
        self._checked[group, source] = max(start, commit.offset)

    def executed(self, worker: Worker, call: ToolCallRequested) -> int:
        """Check that a call may run now; return its number among the executions of that call."""
        if worker.clock() >= call.deadline_at:
            self.blame(f"{call.call_id} runs after its deadline")
        if (worker.name, worker.life, call.call_id) in self._ran:
            self.blame(f"{call.call_id} runs twice in one process")
        if call.tool == "pay":
            self._check_effect(call)
        self._ran.add((worker.name, worker.life, call.call_id))
        self.executions[call.call_id] += 1
        return self.executions[call.call_id]

    def _check_effect(self, call: ToolCallRequested) -> None:
        record, names = self._first_plans.get((call.correlation_id, call.turn), (None, set[str]()))
        if record is None or call.call_id not in names:
            self.blame(f"{call.call_id} has an effect, and no plan that counts names it")
            return
        folded = self._log.committed.get((AGGREGATORS, (record.topic, record.partition)), NOTHING).offset
        if folded <= record.offset:
            self.blame(f"{call.call_id} has an effect before its plan is committed")

    def _told(self, record: Record) -> None:
        """Remember what has ended, as the log tells it."""
        if record.topic != ROUTES.run_events or record.value is None or record.value[:1] != b"{":
            return
        event = orjson.loads(record.value)
        match event["type"]:
            case "plan.created" | "plan.failed":
                turn = (event["correlation_id"], event["turn"])
                self._ended.add(turn)
                names = {call["call_id"] for call in event.get("calls", ())}
                self._first_plans.setdefault(turn, (record, names))
            case "tool_call.succeeded" | "tool_call.failed" | "tool_call.timed_out":
                self._ended.add((event["correlation_id"], event["call_id"]))
            case _:
                pass  # it ends neither a turn nor a call

    def _has_effect(self, record: Record) -> bool:
        document = orjson.loads(record.value or b"null")
        name = (record.key or b"").decode()
        if record.topic == ROUTES.requests:
            return not document["prompt"] or (name, 1) in self._ended
        if record.topic == ROUTES.turns:
            return (name, document["turn"]) in self._ended
        return (document["correlation_id"], name) in self._ended


class Owned(Protocol):
    """A partition of the runs table."""

    number: int


def _place(record: Record) -> str:
    return f"{record.topic}-{record.partition}@{record.offset}"
