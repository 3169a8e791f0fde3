"""The tool `wait`: let some time pass."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from agents.tools.tool import tool

LONGEST_MS = 600_000


@tool(timeout_ms=LONGEST_MS + 10_000)
async def wait(
    ms: Annotated[int, Field(ge=0, le=LONGEST_MS, description="How long to wait, in milliseconds.")],
) -> dict[str, int]:
    """Wait for a number of milliseconds (at most ten minutes), then return how long was waited."""
    await asyncio.sleep(ms / 1000)
    return {"waited_ms": ms}
