"""Tools for chaos: each writes down when it begins, in a file that outlives its process."""

from __future__ import annotations

import asyncio
import os
import time

import orjson

from agents.tools.tool import CallContext, tool

LEDGER = "CHAOS_LEDGER"
"""The environment variable that names the file."""


def note(context: CallContext) -> None:
    """Write a line in one step, so that those of several processes do not mix and a killed one leaves no half."""
    line = {"call_id": context.call_id, "at_ms": time.time() * 1000, "process": os.getpid()}
    file = os.open(os.environ[LEDGER], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, orjson.dumps(line) + b"\n")
    finally:
        os.close(file)


# A process that is stopped for longer than a tool may take would say so when it goes on: long limits keep that out.
@tool(timeout_ms=60_000)
async def fetch(n: int, ms: int, context: CallContext) -> int:
    """Return the number after some milliseconds."""
    note(context)
    await asyncio.sleep(ms / 1000)
    return n


@tool(timeout_ms=60_000)
async def double(n: int, context: CallContext) -> int:
    """Return twice the number."""
    note(context)
    return n * 2


@tool(timeout_ms=60_000, effectful=True)
async def pay(amount: int, context: CallContext) -> int:
    """Pay, for good."""
    note(context)
    await asyncio.sleep(0.05)
    return amount


@tool(timeout_ms=60_000)
async def hang(context: CallContext) -> None:
    """Take longer than any deadline here."""
    note(context)
    await asyncio.sleep(50)
