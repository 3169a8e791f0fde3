"""What every record on the wire has in common.

Models are frozen and ignore unknown fields on read, so that a newer writer never breaks an older reader. Numbers and
booleans are strict: `"5"` is not 5. Free-form JSON is bounded in depth, because what is read here must be writable
again and the JSON writer stops at 254 levels.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, Strict, StringConstraints

Json: TypeAlias = Any
"""Any JSON value: None, bool, int, float, str, list or dict with string keys."""

MAX_DEPTH = 64
"""Levels of nesting allowed in free-form JSON (arguments, results, metadata)."""

MAX_ID_CHARACTERS = 200
"""Length of the longest correlation id or call id, in characters."""


def bounded_depth(value: Any) -> Any:  # noqa: ANN401 - free-form JSON has no narrower type
    """Return `value` unchanged, or raise ValueError when it nests deeper than `MAX_DEPTH` levels."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return value
    message = f"nested deeper than {MAX_DEPTH} levels: flatten it"
    raise ValueError(message)


class Model(BaseModel):
    """A frozen part of a record. Unknown fields are ignored on read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(Model):
    """A record on the wire. `type` selects the schema, `v` is its major version."""

    v: Literal[1] = 1


Int = Annotated[int, Strict()]
Float = Annotated[float, Strict()]
Bool = Annotated[bool, Strict()]
Timestamp = AwareDatetime
"""A point in time. RFC 3339 text on the wire; without its offset it could not be compared with the broker's time."""

JsonValue = Annotated[Any, AfterValidator(bounded_depth)]
JsonObject = Annotated[dict[str, Any], AfterValidator(bounded_depth)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]+$")]
Milliseconds = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]


def timestamp_from_ms(milliseconds: int) -> datetime:
    """Turn a Kafka record timestamp (milliseconds since the epoch) into UTC time, exact to the millisecond."""
    seconds, rest = divmod(milliseconds, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def milliseconds_between(start: datetime, end: datetime) -> float:
    """Length of a span in milliseconds, rounded to the microsecond."""
    return round((end - start).total_seconds() * 1000, 3)
