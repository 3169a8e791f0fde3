"""References between calls: an argument that is another call's result.

    {"$result": "<call>", "path": "/json/pointer"}

may stand anywhere in a call's arguments. `path` is a JSON Pointer (RFC 6901) into the result, all of it when left out.
A model names the other call by the label it gave it; in a plan that is written the name is the call id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from schemas.base import Json
from schemas.errors import OrchestratorError

MARK = "$result"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an argument comes from: the call named `call`, and what of its result."""

    call: str
    path: str = ""


class ReferenceInvalid(OrchestratorError):
    """{problem}. A reference is an object with "$result", a call, and if need be "path", such as "/name/0"."""


class PathMissing(OrchestratorError):
    """The result of call {call!r} has nothing at {path!r}: {problem}."""


def references_in(arguments: Json) -> Iterator[Reference]:
    """Yield the references in arguments, in order. Raises `ReferenceInvalid`."""
    if isinstance(arguments, dict):
        if MARK in arguments:
            yield _reference(arguments)
            return
        for value in arguments.values():
            yield from references_in(value)
    elif isinstance(arguments, list):
        for value in arguments:
            yield from references_in(value)


def replaced(arguments: Json, replace: Callable[[Reference], Json]) -> Json:
    """Return the arguments with each reference replaced by what `replace` says of it."""
    if isinstance(arguments, dict):
        if MARK in arguments:
            return replace(_reference(arguments))
        return {name: replaced(value, replace) for name, value in arguments.items()}
    if isinstance(arguments, list):
        return [replaced(value, replace) for value in arguments]
    return arguments


def renamed(arguments: Json, names: Mapping[str, str]) -> Json:
    """Return the arguments with every call named by what `names` says of its name."""
    return replaced(arguments, lambda reference: {MARK: names[reference.call], "path": reference.path})


def value_at(result: Json, reference: Reference) -> Json:
    """Follow a reference's path into a result. Raises `PathMissing`."""
    value = result
    for token in reference.path.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        try:
            value = value[_index(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError, ValueError):
            kind = type(value).__name__
            problem = f"there is no {key!r} in the {kind} before it"
            raise PathMissing(call=reference.call, path=reference.path, problem=problem) from None
    return value


def _reference(document: dict[str, Json]) -> Reference:
    call, path = document[MARK], document.get("path", "")
    if not isinstance(call, str) or not call:
        raise ReferenceInvalid(problem=f"{MARK} must name a call")
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise ReferenceInvalid(problem="path must be a JSON Pointer: empty, or beginning with /")
    if unknown := document.keys() - {MARK, "path"}:
        raise ReferenceInvalid(problem=f"a reference has no {', '.join(sorted(unknown))}")
    return Reference(call, path)


def _index(digits: str) -> int:
    """Read an array index as RFC 6901 has it: digits without leading zero."""
    if not digits.isascii() or not digits.isdigit() or (digits != "0" and digits.startswith("0")):
        raise ValueError(digits)
    return int(digits)
