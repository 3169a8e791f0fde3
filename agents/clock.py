"""Time as an argument: deciding code takes a clock, so that tests run in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Tells the time, UTC."""


def system_clock() -> datetime:
    """Tell this machine's time, UTC."""
    return datetime.now(UTC)


def milliseconds_until(moment: datetime, now: datetime) -> float:
    """How long from `now` to `moment`, in milliseconds; negative once it has passed."""
    return (moment - now).total_seconds() * 1000
