"""A simulation can fail: each way to break the protocol is found by some of the first seeds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

import tests.simulation.agent
from agents.draft import Draft
from agents.llm.model import CallSealed
from schemas.plan import PlannedCall
from schemas.record import Record
from schemas.tool_call import ToolCallRequested
from streams.offsets import InOrderOffsets
from streams.runs.deadlines import Deadlines
from streams.runs.table import Batch
from tests.simulation.agent import Agent
from tests.simulation.aggregator import OpenSteps, SimulatedPartition
from tests.simulation.log import Log, LogWriter
from tests.simulation.planner import SimulatedPlanner
from tests.simulation.run import simulate
from tests.simulation.toolbox import ROUTES
from tests.simulation.tools import SimulatedTools
from tests.simulation.world import Steps

ENOUGH = range(400)


def found(violation: str) -> None:
    """Run seeds until a few have failed; one of them must say `violation`."""
    said = str(simulate(ENOUGH, until_failures=3))
    assert violation in said, said


def test_to_load_before_the_fence_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the earlier owner commits in between is in no table any more."""

    def load_first(self: SimulatedPartition) -> OpenSteps:
        table = self.load()
        yield self.world.latency()
        writer = self.fence()
        self.ask_positions()
        self.serve(table)
        return writer

    monkeypatch.setattr(SimulatedPartition, "open", load_first)
    found("0 responses instead of 1")


def test_to_ask_how_far_before_the_fence_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the earlier owner commits in between is folded, and buried, twice."""

    def ask_first(self: SimulatedPartition) -> OpenSteps:
        self.ask_positions()
        yield self.world.latency()
        writer = self.fence()
        self.serve(self.load())
        return writer

    monkeypatch.setattr(SimulatedPartition, "open", ask_first)
    found("dead letters")


def test_without_a_fence_two_owners_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was stalled goes on writing beside its successor."""
    fence = Log.fence

    def no_fence(self: Log, transactional_id: str) -> LogWriter:
        return self._writers.get(transactional_id) or fence(self, transactional_id)

    monkeypatch.setattr(Log, "fence", no_fence)
    found("2 responses instead of 1")


def test_a_response_outside_the_transaction_is_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction is aborted, the response stays, and is given again."""
    write = SimulatedPartition.write

    def outside(self: SimulatedPartition, writer: LogWriter, batch: Batch) -> Steps:
        for out in batch.records:
            if out.topic == ROUTES.responses:
                self.log.append(out)
        batch.records = [out for out in batch.records if out.topic != ROUTES.responses]
        yield self.world.latency()
        yield from write(self, writer, batch)

    monkeypatch.setattr(SimulatedPartition, "write", outside)
    found("2 responses instead of 1")


@pytest.mark.parametrize("agent", [SimulatedPlanner, SimulatedTools])
def test_an_acknowledgement_before_the_broker_has_the_effect_is_seen(
    monkeypatch: pytest.MonkeyPatch, agent: type[Agent]
) -> None:
    """A commit at that moment is blamed, and a crash then loses the effect."""
    handle = agent._handle

    def early(self: Agent, record: Record, offsets: InOrderOffsets) -> Steps:
        offsets.finish(record.offset)
        yield from handle(self, record, offsets)

    monkeypatch.setattr(agent, "_handle", early)
    found("before what comes of it is in the log")


def test_an_effect_before_its_plan_is_committed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planner that publishes what has an effect, as if it had none."""
    take = Draft.take

    def eager(self: Draft, sealed: CallSealed) -> PlannedCall | None:
        taken = take(self, sealed)
        last = self._calls[-1]
        return last if last is not None and last.tool == "pay" and last.error is None else taken

    monkeypatch.setattr(Draft, "take", eager)
    found("has an effect")


def test_what_was_finished_out_of_order_and_is_forgotten_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that does not read the commit metadata runs again what has ended."""
    monkeypatch.setattr(tests.simulation.agent, "decode_finished", lambda *_: frozenset())
    found("is handled again after its acknowledgement")


def test_a_worker_that_forgets_what_it_ran_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is published again runs again in the same process."""
    run = SimulatedTools._run

    def forgetful(self: SimulatedTools, call: ToolCallRequested) -> Steps:
        yield from run(self, call)
        self._recent = {call.call_id: self._recent[call.call_id]}

    monkeypatch.setattr(SimulatedTools, "_run", forgetful)
    found("runs twice in one process")


def test_a_response_that_comes_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody watches the deadlines by a clock that is far behind."""
    push = Deadlines.push

    def late(self: Deadlines, correlation_id: str, deadline: datetime) -> None:
        push(self, correlation_id, deadline + timedelta(seconds=2))

    monkeypatch.setattr(Deadlines, "push", late)
    found("ms too late")
