"""A tools worker of a simulation: takes a tool's time, and remembers what it ran as the executor does."""

from __future__ import annotations

from agents.clock import milliseconds_until
from agents.executor import _failed, _too_late
from schemas.codec import Malformed
from schemas.events import TOOL_CALLS
from schemas.failure import FailureCode
from schemas.record import Record
from schemas.tool_call import Outcome, ToolCallRequested, ToolCallSucceeded
from tests.simulation.agent import Agent
from tests.simulation.toolbox import ROUTES
from tests.simulation.world import Steps


class SimulatedTools(Agent):
    """Runs each call it is given once, as long as it lives."""

    def forget(self) -> None:
        """Lose the memory of what ran."""
        super().forget()
        self._recent: dict[str, Outcome] = {}
        self._running: set[str] = set()

    def handle(self, record: Record) -> Steps:
        """Run a call, or find out that it ran, and publish how it ended."""
        call = TOOL_CALLS.decode(record.value)
        assert not isinstance(call, Malformed), call
        while call.call_id in self._running:
            yield 5
        if call.call_id not in self._recent:
            self._running.add(call.call_id)
            yield from self._run(call)
            self._running.discard(call.call_id)
        yield from self.publish(ROUTES.outcome(call, self._recent[call.call_id], None))

    def _run(self, call: ToolCallRequested) -> Steps:
        yield self.world.latency()  # its turn comes
        if milliseconds_until(call.deadline_at, self.clock()) <= 0:
            self._recent[call.call_id] = _too_late(call)
            return
        executions = self.judge.executed(self, call)
        slow = self.world.rng.choice((10, 50, 300))
        yield min(self.world.rng.expovariate(1 / slow), milliseconds_until(call.deadline_at, self.clock()))
        if self.world.rng.random() < 0.1:
            self._recent[call.call_id] = _failed(call, FailureCode.TOOL_FAILED, f"out of order {executions}")
            return
        self._recent[call.call_id] = ToolCallSucceeded(
            correlation_id=call.correlation_id,
            call_id=call.call_id,
            tool=call.tool,
            result={"value": executions},  # another one each time, so that it shows which of them counts
        )
