"""Text with placeholders, as scripts use it: `Wait {ms} ms`, `{results[0][time]}`, `{n:int}`.

Names and keys only: there is no attribute access and no format width, so neither a script nor a prompt reaches into
Python or asks for a gigabyte of padding. What is filled in is never looked at again for placeholders.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from schemas.base import Json, bounded_depth
from schemas.errors import OrchestratorError

CONVERSIONS: Final = ("int", "float", "json")
_REFERENCE: Final = re.compile(r"([A-Za-z_]\w*)((?:\[[^\[\]]+\])*)")
_KEY: Final = re.compile(r"\[([^\[\]]+)\]")
_WHOLE: Final = re.compile(r"\s*[-+]?[0-9]{1,19}\s*")
_DECIMAL: Final = re.compile(r"\s*[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\s*")


class TemplateError(OrchestratorError):
    """{reason}"""  # noqa: D400 - a reason that others put into their own message


@dataclass(frozen=True, slots=True)
class FailedResult:
    """The result of a call that failed: wherever it is put, and whatever is looked up in it, its message appears."""

    message: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{name[key][key]:conversion}`; `conversion` is empty, `int`, `float` or `json`."""

    name: str
    keys: tuple[str, ...]
    conversion: str

    def __str__(self) -> str:
        keys = "".join(f"[{key}]" for key in self.keys)
        return "{" + self.name + keys + (f":{self.conversion}" if self.conversion else "") + "}"


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: literal pieces and placeholders in order."""

    parts: tuple[str | Placeholder, ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse `text`; raise `TemplateError` that says what to write instead."""
        parts: list[str | Placeholder] = []
        try:
            for literal, reference, conversion, explicit in string.Formatter().parse(text):
                if literal:
                    parts.append(literal)
                if reference is not None:
                    parts.append(_placeholder(reference, conversion or "", explicit))
        except ValueError as error:
            advice = "write {{ and }} for braces that stand for themselves"
            raise TemplateError(reason=f"{str(error).removesuffix('.')}: {advice}") from None
        return cls(tuple(parts))

    @property
    def placeholders(self) -> tuple[Placeholder, ...]:
        """All placeholders, in order."""
        return tuple(part for part in self.parts if isinstance(part, Placeholder))

    def render(self, values: Mapping[str, Json]) -> Json:
        """Fill in `values` (JSON, `FailedResult`, or lists of them); raise `TemplateError` for what is missing.

        The result is text, unless the template is exactly one placeholder with a conversion: then it is that type.
        """
        if len(self.parts) == 1 and isinstance(only := self.parts[0], Placeholder) and only.conversion:
            return _converted(only, _looked_up(only, values))
        return "".join(part if isinstance(part, str) else _formatted(part, values) for part in self.parts)


def _placeholder(reference: str, conversion: str, explicit: str | None) -> Placeholder:
    """Check one placeholder's syntax."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        reason = f"{{{reference[:80]}}} is not a placeholder: write {{name}} or {{results[0][key]}}"
        raise TemplateError(reason=reason)
    if explicit or (conversion and conversion not in CONVERSIONS):
        shown = f"!{explicit}" if explicit else f":{conversion[:20]}"
        raise TemplateError(reason=f"{{{reference}{shown}}}: only :int, :float and :json can follow a name")
    return Placeholder(match[1], tuple(_KEY.findall(match[2])), conversion)


def _looked_up(placeholder: Placeholder, values: Mapping[str, Json]) -> Json:
    """Return the value a placeholder stands for."""
    if placeholder.name not in values:
        raise TemplateError(reason=f"{placeholder}: there is no '{placeholder.name}' here")
    value: Json = values[placeholder.name]
    for key in placeholder.keys:
        if isinstance(value, FailedResult):
            return value
        try:
            value = _item(value, key)
        except (KeyError, IndexError):
            raise TemplateError(reason=f"{placeholder}: there is no [{key}] in {_shortened(value)}") from None
    return value


def _item(value: Json, key: str) -> Json:
    """Return one member of a JSON object or array; raise KeyError or IndexError."""
    if isinstance(value, Mapping):
        return value[key]
    if isinstance(value, Sequence) and not isinstance(value, str) and _WHOLE.fullmatch(key):
        return value[int(key)]
    raise KeyError(key)


def _formatted(placeholder: Placeholder, values: Mapping[str, Json]) -> str:
    """Return a placeholder's value as text."""
    value = _looked_up(placeholder, values)
    if isinstance(value, FailedResult):
        return value.message
    if placeholder.conversion:
        value = _converted(placeholder, value)
        return json_text(value)
    return value if isinstance(value, str) else json_text(value)


def _converted(placeholder: Placeholder, value: Json) -> Json:
    """Return a value as the type its placeholder names."""
    converted: Json
    match placeholder.conversion:
        case "int":
            wanted, converted = "a whole number of at most 64 bits", _as_int(value)
        case "float":
            wanted, converted = "a number", _as_float(value)
        case _:
            return _as_json(placeholder, value)
    if converted is None:
        raise TemplateError(reason=f"{placeholder}: {_shortened(value)} is not {wanted}")
    return converted


def _as_int(value: Json) -> int | None:
    """Return a number or the text of one as an integer that JSON readers take; None when it is none."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return value if is_int and -(2**63) <= value < 2**63 else None


def _as_float(value: Json) -> float | None:
    """Return a number or the text of one as a finite float; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _as_json(placeholder: Placeholder, value: Json) -> Json:
    """Return JSON text parsed, anything else as it is."""
    match value:
        case FailedResult():
            return value.message
        case str():
            try:
                return bounded_depth(orjson.loads(value))
            except ValueError:
                reason = f"{placeholder}: {_shortened(value)} is not JSON, or is nested too deep"
                raise TemplateError(reason=reason) from None
        case list():
            return [item.message if isinstance(item, FailedResult) else item for item in value]
        case _:
            return value


def json_text(value: Json) -> str:
    """Write a JSON value the way it appears inside text."""
    return json.dumps(value, ensure_ascii=False, default=_message)


def _message(value: object) -> str:
    """Write a failed result that is part of a list of results."""
    if isinstance(value, FailedResult):
        return value.message
    message = f"{type(value).__name__} is not JSON"
    raise TypeError(message)


def _shortened(value: Json) -> str:
    text = json_text(value)
    return text if len(text) <= 80 else f"{text[:80]} ..."  # noqa: PLR2004 - a line's worth
