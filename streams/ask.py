"""`orchestrator ask`: sends a prompt, shows progress while waiting, prints the run and the answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from schemas.control import ApprovalGiven, CancelRequested, DeadlineReached
from schemas.errors import OrchestratorError
from schemas.events import RunEvent
from schemas.plan import PlanCreated, PlanFailed
from schemas.request import RequestSubmitted
from schemas.run import RunFinished
from schemas.tool_call import Outcome, ToolCallFailed, ToolCallSucceeded, ToolCallTimedOut
from streams.client import follow
from streams.kafka.clients import client_options
from streams.plain_text import printable, shortened
from streams.routes import Routes
from streams.settings import Settings
from streams.timeline import timeline

GRACE_SECONDS = 5.0
"""How much later than a run's deadline its response may reach us before we give up."""


class NoResponse(OrchestratorError):
    """No response within {seconds:.0f} s. See that a planner, a tools and an aggregator process are running."""


async def ask(settings: Settings, request: RequestSubmitted, console: Console) -> RunFinished:
    """Send `request`, print its progress, its timeline and its answer, and return the response."""
    console.print(f"[bold]?[/bold] {escape(shortened(request.prompt, 400))}")
    response = await await_response(settings, request, console)
    console.print()
    console.print(timeline(response, console.width), markup=False)
    if response.answer is not None:
        answer = printable(response.answer, keep="\n\t")
        console.print(f"\n[bold]answer:[/bold] {escape(answer)}")
    return response


async def await_response(settings: Settings, request: RequestSubmitted, console: Console) -> RunFinished:
    """Send `request`, print progress, return the response. Raises `NoResponse` when none comes in time.

    On a terminal a spinner with the seconds so far says that it is alive, however long nothing happens.
    """
    seconds = (request.timeout_ms or settings.timeout_ms) / 1000 + GRACE_SECONDS
    events = follow(client_options(settings), Routes(settings.topic_prefix), request)
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("[dim]waiting for the response[/dim]"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tools: dict[str, str] = {}
    try:
        async with asyncio.timeout(seconds), aclosing(events):
            with spinner:
                spinner.add_task("", total=None)
                async for event in events:
                    if isinstance(event, RunFinished):
                        return event
                    _print(console, _progress(event, tools))
    except TimeoutError:
        pass
    raise NoResponse(seconds=seconds)


def _print(console: Console, line: str) -> None:
    """Print a line of progress; what does not fit is continued under its beginning."""
    console.print(Padding(Text(line, style="dim"), (0, 0, 0, 2), expand=False))


def _progress(event: RunEvent, tools: dict[str, str]) -> str:
    """Say in one line what happened; `tools` remembers the names of the planned calls."""
    match event:
        case PlanCreated():
            tools.update({call.call_id: call.tool for call in event.calls})
            counts = Counter(shortened(call.tool, 100) for call in event.calls)
            what = ", ".join(f"{count} x {tool}" if count > 1 else tool for tool, count in counts.items())
            return f"turn {event.turn} planned: {shortened(what or 'the answer', 300)}"
        case PlanFailed():
            return f"turn {event.turn} failed: {shortened(event.error.message, 100)}"
        case ToolCallSucceeded():
            return f"{_name(event, tools)} succeeded after {event.duration_ms or 0:,.0f} ms"
        case ToolCallFailed() | ToolCallTimedOut():
            return f"{_name(event, tools)} did not succeed: {shortened(event.error.message, 100)}"
        case CancelRequested() | ApprovalGiven() | DeadlineReached():
            return event.type


def _name(event: Outcome, tools: dict[str, str]) -> str:
    """Name the tool of a call. Its outcome may be here before the plan that names it."""
    return shortened(event.tool or tools.get(event.call_id, "a call"), 100)
