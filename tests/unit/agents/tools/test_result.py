"""Promises about results: JSON or an error."""

from __future__ import annotations

import dataclasses
import math
import threading
from datetime import date
from typing import Any

import pytest

from agents.tools.errors import ResultNotJson
from agents.tools.tool import tool
from schemas.failure import FailureCode
from tests.support.call_context import CONTEXT
from tests.unit.agents.tools.example_tool import Address


@dataclasses.dataclass
class Total:
    """A result that is not plain JSON."""

    amount: int
    day: date


async def test_results_become_plain_json() -> None:
    """Dataclasses, models and dates are converted; what is JSON stays equal."""

    @tool
    async def total() -> list[Any]:
        return [Total(3, date(2026, 11, 23)), Address(street="s"), (1, 2), {"a": None}, 1.5]

    assert await total.run({}, CONTEXT) == [
        {"amount": 3, "day": "2026-11-23"},
        {"street": "s", "number": 1},
        [1, 2],
        {"a": None},
        1.5,
    ]


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    return cycle


@pytest.mark.parametrize(
    "value",
    [math.nan, [math.inf], 2**70, "\ud800", object(), _cycle(), threading.Lock(), b"\xff"],
    ids=["nan", "infinity", "71 bits", "half a surrogate pair", "object", "cycle", "lock", "bytes"],
)
async def test_results_that_json_cannot_carry_are_an_error(value: object) -> None:
    """Nothing turns into null or text on the quiet."""

    @tool
    async def give() -> Any:  # noqa: ANN401 - that is the point
        return value

    with pytest.raises(ResultNotJson, match="give") as raised:
        await give.run({}, CONTEXT)
    assert raised.value.code is FailureCode.RESULT_NOT_JSON
