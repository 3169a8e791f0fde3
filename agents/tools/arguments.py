"""Strict validation of arguments against the very schema that the model is shown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import jsonschema_rs

from agents.tools.errors import ToolDeclarationError
from schemas.base import Json, bounded_depth

_SHOWN_ERRORS: Final = 5
_SHOWN_CHARACTERS: Final = 300


class ArgumentSchema:
    """A compiled JSON Schema (draft 2020-12 unless it says otherwise) of type object."""

    __slots__ = ("_validator",)

    def __init__(self, tool: str, schema: dict[str, Json], *, assert_formats: bool = False) -> None:
        """Compile `schema`; raise `ToolDeclarationError` when it is not valid.

        `assert_formats` makes `format` (date-time, email, ...) a rule instead of a remark.
        """
        if schema.get("type") != "object":
            raise ToolDeclarationError(tool=tool, reason="its parameters must be a JSON Schema of type 'object'")
        try:
            jsonschema_rs.meta.validate(schema)
            # Offline: a schema that fetched its parts from elsewhere would not be what was reviewed.
            self._validator = jsonschema_rs.validator_for(schema, validate_formats=assert_formats, offline=True)
        except jsonschema_rs.ValidationError as error:
            reason = f"its parameters are not a valid JSON Schema: {_sentence(error.instance_path, error.message)}"
            raise ToolDeclarationError(tool=tool, reason=reason) from None
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise ToolDeclarationError(tool=tool, reason=f"its parameters are not a JSON Schema: {error}") from None

    def problems(self, arguments: Json) -> str | None:
        """Say what is wrong with `arguments`, by JSON path (at most five problems); None when nothing is."""
        try:
            bounded_depth(arguments)
            errors = self._validator.iter_errors(arguments)
            return joined((error.instance_path, error.message) for error in errors)
        except ValueError as error:
            # Not JSON to begin with: nested too deep, keys that are not text.
            return shortened(str(error))


def joined(problems: Iterable[tuple[Iterable[str | int], str]]) -> str | None:
    """Join (path, message) pairs into one line of bounded length; None when there are none."""
    shown = [_sentence(path, message) for path, message in islice(problems, _SHOWN_ERRORS)]
    return "; ".join(shown) or None


def json_path(path: Iterable[str | int]) -> str:
    """Write a path the JSONPath way: `$.items[2].name`."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in path)


def shortened(text: str) -> str:
    """Return the beginning of a text that may quote a megabyte of someone's input."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."


def _sentence(path: Iterable[str | int], message: str) -> str:
    return f"{json_path(path)}: {shortened(message)}"
