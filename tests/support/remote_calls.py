"""Calls of the tool `remote`, as a planner would write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.codec import encode
from schemas.tool_call import ReplyTo, ToolCallRequested
from streams.routes import Routes


def requested(routes: Routes, name: str, text: str, reply_to: ReplyTo | None = None) -> bytes:
    """Write the call `call-<name>` of the run `run-<name>`, with five minutes to go."""
    return encode(
        ToolCallRequested(
            correlation_id=f"run-{name}",
            call_id=f"call-{name}",
            turn=1,
            tool="remote",
            arguments={"text": text},
            deadline_at=datetime.now(UTC) + timedelta(minutes=5),
            reply_to=reply_to or routes.reply_to(0),
        )
    )
