"""What a tool returned, as JSON or not at all."""

from __future__ import annotations

import json

import orjson
import pydantic_core

from agents.tools.errors import ResultNotJson
from schemas.base import Json, bounded_depth


def as_json(tool: str, value: object) -> Json:
    """Return `value` as plain JSON; pydantic models, dataclasses, dates and the like are converted.

    Raises `ResultNotJson` for what a JSON reader could not get back: NaN and infinity (which some writers turn into
    null without a word), integers beyond 64 bits, half a surrogate pair, cycles, too much nesting.
    """
    try:
        plain = bounded_depth(pydantic_core.to_jsonable_python(value, inf_nan_mode="constants"))
        json.dumps(plain, allow_nan=False)
        orjson.dumps(plain)
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultNotJson(tool=tool, reason=str(error).splitlines()[0][:300]) from None
    return plain
