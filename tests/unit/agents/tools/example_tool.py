"""A tool with every kind of parameter, for the tests beside it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import pydantic

from agents.tools.tool import tool

ANY_OBJECT: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": True}


class Address(pydantic.BaseModel):
    """A nested parameter."""

    street: str
    number: int = 1


@dataclasses.dataclass
class Point:
    """Another kind of nested parameter."""

    x: float
    y: float


@tool
def describe(
    title: Annotated[str, pydantic.Field(description="What to call it.", min_length=1)],
    count: int,
    kind: Literal["big", "small"] = "small",
    address: Address | None = None,
    points: list[Point] | None = None,
) -> dict[str, Any]:
    """Describe a thing.

    At some length.
    """
    street = address.street if address else None
    return {"title": title, "count": count, "kind": kind, "street": street, "points": len(points or [])}
