"""A tool that takes a moment, in a module that role processes can load."""

from __future__ import annotations

import asyncio

from agents.tools.tool import tool


@tool
async def work(n: int) -> int:
    """Return the number after a tenth of a second."""
    await asyncio.sleep(0.1)
    return n
