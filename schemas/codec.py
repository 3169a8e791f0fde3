"""The one codec: JSON bytes to frozen events and back. A record that cannot be read is a value, never a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import orjson
from pydantic import ValidationError

from schemas.base import Event, Json

MAX_GROWTH = 5
SURELY_SMALL_BYTES = 128 * 1024
"""How much a JSON text can grow when it is read and written again, and up to which size nobody needs to measure."""

MAX_PROBLEMS = 5
"""How many problems of one record a message names before it stops."""

MAX_TYPE_CHARACTERS = 100
"""How much of an unknown type a message repeats."""

EventT_co = TypeVar("EventT_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Malformed:
    """What a record is when it is not an event: why, and the JSON value as far as it could be read."""

    reason: str
    value: Json = None


def encode(event: Event) -> bytes:
    """Write an event as UTF-8 JSON. Field order is that of the class, so equal events give equal bytes."""
    return orjson.dumps(event.model_dump(), option=orjson.OPT_UTC_Z)


def rewritten_size(event: Event, value: bytes | None) -> int:
    """Tell how many bytes an event that was read from `value` takes when it is written again, at most.

    Numbers may grow: `1e15` comes back as `1000000000000000.0`. It is measured only where that could matter.
    """
    read = len(value or b"")
    return read * MAX_GROWTH if read < SURELY_SMALL_BYTES else len(encode(event))


class Codec(Generic[EventT_co]):
    """Reads the events of one closed union. `default` is the class of objects that carry no `type`."""

    def __init__(self, *events: type[EventT_co], default: type[EventT_co] | None = None) -> None:
        """Index the classes by their `type`."""
        self._by_type = {event.model_fields["type"].default: event for event in events}
        self._default = default

    @property
    def types(self) -> frozenset[str]:
        """The `type`s this codec reads."""
        return frozenset(self._by_type)

    def decode(self, value: bytes | None) -> EventT_co | Malformed:
        """Read one event. Unknown fields are ignored; anything else that is wrong gives `Malformed`."""
        if value is None:
            return Malformed("the value is null: send a JSON object")
        try:
            document = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            return Malformed(f"not JSON: {error}")
        if not isinstance(document, dict):
            return Malformed(f"not a JSON object but {_json_type(document)}", document)
        event = self._class_of(document)
        if event is None:
            known = ", ".join(sorted(self._by_type))
            return Malformed(f"type {_named(document)} is not read here; known: {known}", document)
        try:
            return event.model_validate(document)
        except ValidationError as error:
            return Malformed(describe(error), document)

    def _class_of(self, document: dict[str, Json]) -> type[EventT_co] | None:
        if "type" not in document:
            return self._default
        name = document["type"]
        return self._by_type.get(name) if isinstance(name, str) else None


def describe(error: ValidationError) -> str:
    """Say what is wrong, one `field: problem` per fault, without repeating the input (it may be large or secret)."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{'.'.join(str(part) for part in fault['loc']) or 'record'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:MAX_PROBLEMS]
    ]
    if len(faults) > MAX_PROBLEMS:
        lines.append(f"and {len(faults) - MAX_PROBLEMS} more")
    return "; ".join(lines)


def _named(document: dict[str, Json]) -> str:
    """Quote the type. Whatever else it is, it is not repeated: it may be large or nested deeper than `repr` can go."""
    name = document.get("type")
    return repr(name[:MAX_TYPE_CHARACTERS]) if isinstance(name, str) else f"({_json_type(name)})"


def _json_type(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case dict():
            return "an object"
        case _:
            return "an array"
