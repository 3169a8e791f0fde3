"""A tool whose every execution is decided by the test, in whatever process it runs."""

from __future__ import annotations

import asyncio
import os

from agents.tools.tool import CallContext, tool

SOCKET = "SWITCHBOARD_SOCKET"
"""The environment variable that names the switchboard's socket."""


@tool(timeout_ms=60_000)
async def remote(text: str, context: CallContext) -> str:
    """Tell the switchboard that this call began, and return what it answers."""
    reader, writer = await asyncio.open_unix_connection(os.environ[SOCKET])
    try:
        writer.write(f"{context.call_id} {text}\n".encode())
        answer = await reader.readline()
        if not answer:
            message = "the switchboard hung up"
            raise ConnectionError(message)
        return answer.decode().strip()
    finally:
        writer.close()
