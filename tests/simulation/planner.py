"""A planner of a simulation: the real draft and the real records, spoken by a model that takes its time."""

from __future__ import annotations

from agents.draft import Draft, PlanInvalid
from agents.llm.model import CallSealed, TextDelta
from agents.planner import _failed, _plan_of, _request_for, _Spoken
from agents.turn import Turn
from schemas.codec import Malformed
from schemas.events import TURNS
from schemas.failure import FailureCode
from schemas.plan import PlanCreated, PlanFailed, PlannedCall
from schemas.record import Record
from schemas.submission import Submission, read_submission
from streams.routes import Outgoing
from tests.simulation.agent import Agent
from tests.simulation.toolbox import REGISTRY, ROUTES, speak
from tests.simulation.world import Steps

TIMEOUT_MS = 4_000


class SimulatedPlanner(Agent):
    """Plans turns; publishes what may start at once."""

    def handle(self, record: Record) -> Steps:
        """Plan the turn that a record asks for, and publish the plan."""
        turn = turn_of(record)
        if turn is None:
            return
        spoken, draft, confirmed = _Spoken(), Draft(turn, REGISTRY), set[str]()
        sent: list[PlannedCall] = []
        plan: PlanCreated | PlanFailed | None = None
        for event in speak(turn, self.world.rng):
            yield self.world.latency()
            match event:
                case TextDelta(text):
                    spoken.text.append(text)
                case CallSealed() if (call := draft.take(event)) is not None:
                    sent.append(call)
                    out = ROUTES.call(_request_for(turn, call), None)
                    self.world.start(self, self._dispatch(out, call.call_id, confirmed, sent))
        while sent and self.clock() < turn.deadline_at:
            yield 3
        if self.clock() >= turn.deadline_at:
            plan = _failed(turn, spoken, FailureCode.DEADLINE_EXCEEDED, "too late")
        elif self.world.rng.random() < 0.02:
            plan = _failed(turn, spoken, FailureCode.MODEL_FAILED, "the line is dead")
        plan = plan or _planned(turn, spoken, draft, confirmed)
        yield from self.publish(ROUTES.plan(plan, turn.reply_to, None))

    def _dispatch(self, out: Outgoing, call_id: str, confirmed: set[str], sent: list[PlannedCall]) -> Steps:
        """Publish a call; now and then it arrives, or not, without a confirmation."""
        chance = self.world.rng.random()
        if chance > 0.02:
            yield from self.publish(out)
        if chance > 0.05:
            confirmed.add(call_id)
        sent.pop()


def turn_of(record: Record) -> Turn | None:
    """Read a record as `PlannerRole` does; None when only the aggregator answers it."""
    reply_to = ROUTES.reply_to(record.partition)
    if record.topic == ROUTES.requests:
        found = read_submission(record, TIMEOUT_MS)
        if not isinstance(found, Submission):
            return None
        return Turn(found.correlation_id, 1, found.request, found.deadline_at, reply_to)
    asked = TURNS.decode(record.value)
    assert not isinstance(asked, Malformed), asked
    return Turn(asked.correlation_id, asked.turn, asked.request, asked.deadline_at, reply_to, asked.history)


def _planned(turn: Turn, spoken: _Spoken, draft: Draft, confirmed: set[str]) -> PlanCreated | PlanFailed:
    try:
        calls = draft.complete()
    except PlanInvalid as error:
        return _failed(turn, spoken, error.code, str(error))
    marked = (one.model_copy(update={"dispatched": True}) if one.call_id in confirmed else one for one in calls)
    return _plan_of(turn, spoken, tuple(marked))
