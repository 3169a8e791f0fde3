"""A run as a small timeline: which tool, when it started, how long it took, what came back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from schemas.base import milliseconds_between
from schemas.run import CallResult, RunFinished
from streams.plain_text import printable, shortened

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
    """Draw a line per call. No column is wider than what is in it, so that results have room on a narrow terminal."""
    offsets = [_offset(response, result) for result in response.results]
    tools = _column("tool", [shortened(result.tool or "(superseded)", 24) for result in response.results])
    starts = _column("started", ["-" if offset is None else f"+{offset:,.0f} ms" for offset in offsets], right=True)
    durations = [result.duration_ms for result in response.results]
    tooks = _column("took", ["-" if took is None else f"{took:,.0f} ms" for took in durations], right=True)
    bars = _column("", [_bar(*one, response.duration_ms) for one in zip(offsets, durations, strict=True)])
    heads = [f"  {'  '.join(cells)}  " for cells in zip(tools, starts, tooks, bars, strict=True)]
    room = max(MIN_RESULT_CHARACTERS, width - len(heads[0]))
    yield f"{heads[0]}result"
    for head, result in zip(heads[1:], response.results, strict=True):
        yield f"{head}{came_back(result, room)}"


def _offset(response: RunFinished, result: CallResult) -> float | None:
    return milliseconds_between(response.submitted_at, result.started_at) if result.started_at else None


def _column(head: str, cells: Sequence[str], *, right: bool = False) -> list[str]:
    longest = max(map(len, (head, *cells)))
    return [cell.rjust(longest) if right else cell.ljust(longest) for cell in (head, *cells)]


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
