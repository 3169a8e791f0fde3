"""The planner role: a Faust agent on `requests` and `turns` that publishes calls and plans."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from cachetools import TTLCache
from structlog.stdlib import get_logger

from agents.clock import Clock, system_clock
from agents.planner import ModelDirectory, Planner
from agents.tools.registry import Registry
from agents.turn import Turn
from schemas.codec import Malformed
from schemas.events import TURNS
from schemas.record import Record
from schemas.submission import Submission, read_submission
from schemas.tool_call import ToolCallRequested
from streams import topology
from streams.agent_host import AgentHost
from streams.faust_role import FaustRole
from streams.outbox import Outbox
from streams.routes import Routes
from streams.settings import Settings

log = get_logger()

RECENT_TURNS = 20_000
RECENT_SECONDS = 600.0
"""How many turns a planner remembers to have planned, and for how long. A repetition that comes later costs one plan,
which the aggregator ignores."""


class PlannerRole(FaustRole):
    """Reads requests and further turns, asks the model, writes calls and plans."""

    def __init__(
        self, settings: Settings, models: ModelDirectory, registry: Registry, clock: Clock = system_clock
    ) -> None:
        """Take the models to ask and the tools to offer."""
        super().__init__(settings, Routes(settings.topic_prefix).group(topology.PLANNER))
        self._models = models
        self._registry = registry
        self._clock = clock
        self._recent: TTLCache[tuple[str, int, int], asyncio.Future[None]] = TTLCache(RECENT_TURNS, RECENT_SECONDS)

    def add_agents(self, host: AgentHost) -> None:
        """Register the one agent."""
        self._outbox: Outbox = host.outbox
        self._planner = Planner(self._models, self._registry, self._dispatch, self._clock)
        topics = (self.routes.requests, self.routes.turns)
        host.add_agent("planner", topics, self._handle, self.settings.max_parallel_turns)

    def cancel(self, correlation_id: str) -> None:
        """Stop listening to the run's model."""
        self._planner.cancel(correlation_id)

    def _dispatch(self, call: ToolCallRequested, traceparent: str | None) -> Awaitable[bool]:
        return self._outbox.start(self.routes.call(call, traceparent))

    async def _handle(self, record: Record) -> None:
        turn = self._turn_of(record)
        if isinstance(turn, Malformed):
            await self._outbox.publish(self.routes.dead_letter(record, turn.reason))
        elif turn is not None:
            await self._plan_once(turn)

    async def _plan_once(self, turn: Turn) -> None:
        """Plan a turn, unless that was done here lately: a repetition would only cost tokens.

        A repetition waits until the plan of the first is confirmed. Acknowledged before that, it could be lost: after a
        rebalance the "repetition" may be the same record read again, while the first is still being planned.
        """
        name = (turn.correlation_id, turn.turn, turn.reply_to.partition)
        first = self._recent.get(name)
        if first is not None:
            await asyncio.wait({first})
            if not first.cancelled():
                log.info("a turn was asked for twice", correlation_id=turn.correlation_id, turn=turn.turn)
                return
        planned = self._recent[name] = asyncio.get_running_loop().create_future()
        try:
            plan = await self._planner.plan(turn)
            await self._outbox.publish(self.routes.plan(plan, turn.reply_to, turn.traceparent))
        except BaseException:
            planned.cancel()
            raise
        planned.set_result(None)

    def _turn_of(self, record: Record) -> Turn | Malformed | None:
        """Read the turn to plan; None for a request that only the aggregator answers, with a rejection."""
        if record.topic == self.routes.requests:
            submission = read_submission(record, self.settings.timeout_ms)
            return self._first_turn(submission, record) if isinstance(submission, Submission) else None
        requested = TURNS.decode(record.value)
        if isinstance(requested, Malformed):
            return requested
        return Turn(
            correlation_id=requested.correlation_id,
            turn=requested.turn,
            request=requested.request,
            deadline_at=requested.deadline_at,
            reply_to=self.routes.reply_to(record.partition),
            history=requested.history,
            traceparent=record.traceparent,
        )

    def _first_turn(self, submission: Submission, record: Record) -> Turn:
        return Turn(
            correlation_id=submission.correlation_id,
            turn=1,
            request=submission.request,
            deadline_at=submission.deadline_at,
            reply_to=self.routes.reply_to(record.partition),
            traceparent=submission.traceparent,
        )
