"""A run as a small timeline: which tool, when it started, how long it took, what came back. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from schemas.base import milliseconds_between
from schemas.run import CallResult, RunFinished

BAR_CHARACTERS = 20
MIN_RESULT_CHARACTERS = 12
MAX_ERROR_CHARACTERS = 1_000


def timeline(response: RunFinished, width: int = 100) -> str:
    """Draw a finished run, at most `width` characters wide. Times are milliseconds since the request was appended."""
    tools_ms = sum(result.duration_ms or 0.0 for result in response.results)
    calls = f"{len(response.results)} call{'' if len(response.results) == 1 else 's'}"
    turns = f"{response.turns} turn{'' if response.turns == 1 else 's'}"
    lines = [f"run {printable(response.correlation_id)}: {response.status} after {calls} in {turns}"]
    if response.results:
        lines += ["", *_table(response, width), ""]
        lines.append(f"tools one after the other: {tools_ms:,.0f} ms    this run: {response.duration_ms:,.0f} ms")
    if response.error is not None:
        lines.append(f"error: {response.error.code}: {shortened(response.error.message, MAX_ERROR_CHARACTERS)}")
    return "\n".join(lines)


def _table(response: RunFinished, width: int) -> Iterator[str]:
    tools = [shortened(result.tool or "(superseded)", 24) for result in response.results]
    longest = max(4, *(len(tool) for tool in tools))
    head = f"  {'tool':<{longest}}  {'started':>9}  {'took':>9}  {'':<{BAR_CHARACTERS}}  "
    room = max(MIN_RESULT_CHARACTERS, width - len(head))
    yield f"{head}result"
    for tool, result in zip(tools, response.results, strict=True):
        offset = milliseconds_between(response.submitted_at, result.started_at) if result.started_at else None
        started = "-" if offset is None else f"+{offset:,.0f} ms"
        took = "-" if result.duration_ms is None else f"{result.duration_ms:,.0f} ms"
        bar = _bar(offset, result.duration_ms, response.duration_ms)
        yield f"  {tool:<{longest}}  {started:>9}  {took:>9}  {bar:<{BAR_CHARACTERS}}  {came_back(result, room)}"


def _bar(offset: float | None, took: float | None, whole: float) -> str:
    """Draw where in the run a call lay. A worker's clock may differ from the broker's, so it is kept inside."""
    if offset is None or took is None or whole <= 0:
        return ""
    start = min(round(min(max(0.0, offset / whole), 1.0) * BAR_CHARACTERS), BAR_CHARACTERS - 1)
    length = min(max(1, round(min(took / whole, 1.0) * BAR_CHARACTERS)), BAR_CHARACTERS - start)
    return "·" * start + "█" * length + "·" * (BAR_CHARACTERS - start - length)


def came_back(result: CallResult, characters: int) -> str:
    """Say in one line of at most `characters` what a call gave."""
    if result.status != "succeeded":
        return shortened(f"{result.status}: {result.error.message}" if result.error else result.status, characters)
    return shortened(orjson.dumps(result.result).decode(), characters)


def shortened(text: str, characters: int) -> str:
    """Cut a text to one line of at most `characters`."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= characters else flat[: characters - 1] + "…"


def printable(text: str, keep: str = "") -> str:
    """Replace control characters except `keep`: what is shown must not be able to drive the terminal it is shown on."""
    return "".join(character if character.isprintable() or character in keep else " " for character in text)
