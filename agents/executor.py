"""The executor: runs one tool call and says how it ended. It never raises."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

import orjson
from cachetools import LRUCache, TTLCache

from agents.clock import Clock, milliseconds_until
from agents.tools.errors import InvalidArguments
from agents.tools.registry import Registry
from agents.tools.tool import CallContext, Tool, ToolError
from schemas.base import Json
from schemas.failure import Failure, FailureCode
from schemas.tool_call import Outcome, ToolCallFailed, ToolCallRequested, ToolCallSucceeded, ToolCallTimedOut

MAX_RESULT_BYTES = 256 * 1024
"""Size of the largest result, in bytes of JSON. A larger one would end in a record that no topic takes."""

REMEMBERED_BYTES = 32 * 1024 * 1024
"""How much JSON of recent outcomes a worker remembers."""

REMEMBERED_RUNS = 10_000
REMEMBERED_SECONDS = 3600.0
"""How many cancelled runs a worker remembers, and for how long: their queued calls are still to come."""

OVERHEAD_BYTES = 1024
"""What an outcome costs in memory beside its JSON, roughly."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a worker takes on: calls at once, and milliseconds of an attempt whose tool names none."""

    parallel: int = 30
    timeout_ms: int = 5000


class Executor:
    """Runs the calls of a worker process, at most `limits.parallel` at once.

    A call id is run once as long as it is remembered: a call published again by a repeated plan comes to the same
    partition, so to the same worker, and is answered from memory or joins the run in progress.
    """

    def __init__(self, registry: Registry, clock: Clock, limits: Limits) -> None:
        """Take the tools of this worker, the time, and how much to take on."""
        self._registry = registry
        self._clock = clock
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.parallel)
        self._running: dict[str, _Running] = {}
        self._cancelled: TTLCache[str, bool] = TTLCache(REMEMBERED_RUNS, REMEMBERED_SECONDS)
        self._recent: LRUCache[str, tuple[Outcome, int]] = LRUCache(REMEMBERED_BYTES, getsizeof=lambda kept: kept[1])

    async def execute(self, call: ToolCallRequested) -> Outcome:
        """Run `call`, or find out that it already ran. Ends before the call's deadline or soon after."""
        remembered = self._recent.get(call.call_id)
        if remembered is not None:
            return remembered[0]
        if call.correlation_id in self._cancelled:
            return _cancelled(call, attempts=0)
        running = self._running.get(call.call_id)
        if running is None:
            task = asyncio.create_task(self._run(call), name=f"call {call.call_id}")
            running = self._running[call.call_id] = _Running(call.correlation_id, task)
            task.add_done_callback(lambda _: self._running.pop(call.call_id, None))
        # Shielded, because a second delivery of the call may be waiting for the same run.
        try:
            return await asyncio.shield(running.task)
        except asyncio.CancelledError:
            if not running.task.cancelled() or call.correlation_id not in self._cancelled:
                raise
            return _cancelled(call)

    def cancel(self, correlation_id: str) -> None:
        """Stop what is queued or running for a run, and run nothing more of it. Its calls end `cancelled`."""
        self._cancelled[correlation_id] = True
        for running in list(self._running.values()):
            if running.correlation_id == correlation_id:
                running.task.cancel()

    async def _run(self, call: ToolCallRequested) -> Outcome:
        tool = self._registry.get(call.tool)
        if tool is None:
            return _failed(call, FailureCode.UNKNOWN_TOOL, f"this worker has no tool named {call.tool!r}", attempts=0)
        async with self._turns:
            if milliseconds_until(call.deadline_at, self._clock()) <= 0:
                return _too_late(call)
            outcome, size = await self._attempt(tool, call)
        self._remember(outcome, size)
        return outcome

    async def _attempt(self, tool: Tool, call: ToolCallRequested) -> tuple[Outcome, int]:
        started_at, start = self._clock(), time.perf_counter()
        own_ms = tool.spec.timeout_ms or self._limits.timeout_ms
        left_ms = milliseconds_until(call.deadline_at, started_at)
        limit_ms = min(own_ms, left_ms)
        size = 0
        outcome: Outcome
        try:
            async with asyncio.timeout(limit_ms / 1000):
                result = await tool.run(call.arguments, _context_of(call))
            size = len(orjson.dumps(result))
        except TimeoutError:
            code = FailureCode.TOOL_TIMED_OUT if own_ms <= left_ms else FailureCode.DEADLINE_EXCEEDED
            outcome = _timed_out(call, code, f"{call.tool} did not finish within {limit_ms:.0f} ms")
        except InvalidArguments as error:  # before anything ran
            outcome = _failed(call, error.code, str(error), attempts=0)
        except ToolError as error:
            outcome = ToolCallFailed(
                correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, error=error.failure()
            )
        except Exception as error:  # noqa: BLE001 - a tool is foreign code: whatever it raises is its outcome
            outcome = _failed(call, FailureCode.TOOL_FAILED, f"{type(error).__name__}: {error}"[:2000])
        else:
            outcome = _judged(call, result, size)
        kept = size if isinstance(outcome, ToolCallSucceeded) else 0
        return _timed(outcome, started_at, start), kept + OVERHEAD_BYTES

    def _remember(self, outcome: Outcome, size: int) -> None:
        self._recent[outcome.call_id] = (outcome, size)


@dataclass(frozen=True, slots=True)
class _Running:
    correlation_id: str
    task: asyncio.Task[Outcome]


def _cancelled(call: ToolCallRequested, *, attempts: int = 1) -> ToolCallFailed:
    return _failed(call, FailureCode.CANCELLED, "its run was cancelled", attempts=attempts)


def _context_of(call: ToolCallRequested) -> CallContext:
    return CallContext(
        call_id=call.call_id,
        correlation_id=call.correlation_id,
        tenant=call.tenant,
        deadline_at=call.deadline_at,
        attempt=call.attempt,
    )


def _judged(call: ToolCallRequested, result: Json, size: int) -> Outcome:
    if size > MAX_RESULT_BYTES:
        message = f"{call.tool} returned {size:,} bytes, the limit is {MAX_RESULT_BYTES:,}: return a reference instead"
        return _failed(call, FailureCode.RESULT_TOO_LARGE, message)
    return ToolCallSucceeded(correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, result=result)


def _timed(outcome: Outcome, started_at: datetime, start: float) -> Outcome:
    duration_ms = round((time.perf_counter() - start) * 1000, 3)
    return outcome.model_copy(update={"started_at": started_at, "duration_ms": duration_ms})


def _failed(call: ToolCallRequested, code: FailureCode, message: str, *, attempts: int = 1) -> ToolCallFailed:
    error = Failure(code=code, message=message)
    return ToolCallFailed(
        correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, attempts=attempts, error=error
    )


def _timed_out(call: ToolCallRequested, code: FailureCode, message: str) -> ToolCallTimedOut:
    error = Failure(code=code, message=message, retryable=code is FailureCode.TOOL_TIMED_OUT)
    return ToolCallTimedOut(correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, error=error)


def _too_late(call: ToolCallRequested) -> ToolCallTimedOut:
    error = Failure(code=FailureCode.DEADLINE_EXCEEDED, message="the deadline had passed before the call could start")
    return ToolCallTimedOut(
        correlation_id=call.correlation_id, call_id=call.call_id, tool=call.tool, attempts=0, error=error
    )
