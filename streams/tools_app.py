"""The tools role: one Faust agent per tool of a toolset, each on its tool's own topic."""

from __future__ import annotations

from agents.clock import Clock, system_clock
from agents.executor import Executor, Limits
from agents.tools.registry import Registry
from schemas.codec import Malformed
from schemas.events import TOOL_CALLS
from schemas.record import Record
from schemas.tool_call import ReplyTo
from streams import topology
from streams.agent_host import AgentHost
from streams.faust_role import FaustRole
from streams.outbox import Outbox
from streams.routes import Routes
from streams.settings import Settings


class ToolsRole(FaustRole):
    """Reads the calls of a toolset's tools, runs them, writes their outcomes to where each call says."""

    def __init__(
        self, settings: Settings, registry: Registry, toolset: str = "default", clock: Clock = system_clock
    ) -> None:
        """Take all tools; those of `toolset` are run here."""
        super().__init__(settings, Routes(settings.topic_prefix).group(topology.TOOLS, toolset=toolset))
        self._registry = registry.toolset(toolset)
        self._clock = clock

    def add_agents(self, host: AgentHost) -> None:
        """Register one agent per tool: a slow tool holds up nobody else's calls."""
        self._outbox: Outbox = host.outbox
        limits = Limits(self.settings.max_parallel, self.settings.tool_timeout_ms)
        self._executor = Executor(self._registry, self._clock, limits)
        for tool in self._registry:
            topic = self.routes.tool_topic(tool)
            host.add_agent(f"tool {tool}", [topic], self._handle, self.settings.max_parallel_per_tool)

    def cancel(self, correlation_id: str) -> None:
        """Stop the run's calls."""
        self._executor.cancel(correlation_id)

    async def _handle(self, record: Record) -> None:
        call = TOOL_CALLS.decode(record.value)
        if isinstance(call, Malformed):
            await self._outbox.publish(self.routes.dead_letter(record, call.reason))
            return
        problem = await self._problem_with(call.reply_to)
        if problem is not None:
            await self._outbox.publish(self.routes.dead_letter(record, problem))
            return
        outcome = await self._executor.execute(call)
        await self._outbox.publish(self.routes.outcome(call, outcome, record.traceparent))

    async def _problem_with(self, reply_to: ReplyTo) -> str | None:
        """Say why nothing can be written there, before the call is run in vain; None when it can.

        A topic that the broker does not have would be waited for, and then taken for a broker that does not answer.
        """
        if reply_to.topic != self.routes.run_events:
            return f"reply_to.topic is {reply_to.topic!r}, but this installation has {self.routes.run_events!r}"[:2000]
        if not await self._outbox.has(reply_to.topic, reply_to.partition):
            return f"reply_to.partition is {reply_to.partition}, which {reply_to.topic!r} does not have"
        return None
