"""A call context for tests that run tools by hand."""

from __future__ import annotations

from datetime import UTC, datetime

from agents.tools.tool import CallContext

CONTEXT = CallContext(
    call_id="call-1",
    correlation_id="run-1",
    tenant="default",
    deadline_at=datetime(2026, 11, 23, 12, tzinfo=UTC),
)
