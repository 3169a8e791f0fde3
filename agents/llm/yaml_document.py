"""A YAML document that holds JSON values only, remembers the line of each, and cannot be a bomb."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

import yaml

from schemas.base import Json
from schemas.errors import OrchestratorError

MAX_BYTES: Final = 1_048_576
MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 64
_SHOWN_CHARACTERS: Final = 80

Location = tuple[int | str, ...]
"""Where a value is in a document: indexes and keys from the root."""


class YamlInvalid(OrchestratorError):
    """{file}:{line}: {problem}"""  # noqa: D400 - the problem ends the sentence


class _JsonLoader(yaml.SafeLoader):
    """Resolves plain text as YAML 1.2 does: by 1.1 `12:30:00` is the number 45000, `on` is true and `010` is 8."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it


_PREFIX: Final = "tag:yaml.org,2002:"
for _tag, _pattern, _first in (
    ("bool", "true|false", ["t", "f"]),
    ("null", "null|~|", ["n", "~", ""]),
    ("int", "[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?", list("-+0123456789")),
):
    _JsonLoader.add_implicit_resolver(_PREFIX + _tag, re.compile(f"(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """The parsed `value` and, for messages, the line (from 1) of everything in it."""

    file: str
    value: Json
    lines: Mapping[Location, int]

    @classmethod
    def parse(cls, text: str, file: str) -> YamlDocument:
        """Parse one document; raise `YamlInvalid` with file and line.

        Bounded: 1 MiB of text, 100,000 values with aliases counted as often as they are used, 64 levels.
        """
        if len(text.encode(errors="replace")) > MAX_BYTES:
            raise YamlInvalid(file=file, line=1, problem=f"the file is larger than {MAX_BYTES:,} bytes: split it")
        try:
            root = yaml.compose(text, Loader=_JsonLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise YamlInvalid(file=file, line=line, problem=f"not YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise YamlInvalid(file=file, line=1, problem=f"not YAML: {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise YamlInvalid(file=file, line=1, problem=f"nested deeper than {MAX_DEPTH} levels") from None
        if root is None:
            return cls(file, None, {(): 1})
        reading = _Reading(file)
        return cls(file, reading.value(root, ()), reading.lines)

    def line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest thing around it that is written in the file."""
        while location not in self.lines and location:
            location = location[:-1]
        return self.lines.get(location, 1)


@dataclass(slots=True)
class _Reading:
    """One walk over the nodes of a document."""

    file: str
    lines: dict[Location, int] = field(default_factory=dict)
    values: int = 0

    def value(self, node: yaml.Node, at: Location) -> Json:
        """Return the JSON value of a node and note its line."""
        self.values += 1
        if self.values > MAX_VALUES:
            self.refuse(node, f"more than {MAX_VALUES:,} values, aliases included")
        if len(at) > MAX_DEPTH:
            # Also where an alias refers to something that contains it.
            self.refuse(node, f"nested deeper than {MAX_DEPTH} levels")
        self.lines[at] = node.start_mark.line + 1
        match node:
            case yaml.MappingNode():
                return self.mapping(node, at)
            case yaml.SequenceNode():
                self.require_tag(node, "seq")
                return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
            case _:
                return self.scalar(node)

    def mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Json]:
        """Return a JSON object; its keys are text and occur once."""
        self.require_tag(node, "map")
        result: dict[str, Json] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _PREFIX + "str":
                self.refuse(key_node, "a key must be text: put it in quotes")
            key = str(key_node.value)
            if key in result:
                # PyYAML lets the last one win, without a word.
                self.refuse(key_node, f"the key {_shown(key)} occurs twice")
            result[key] = self.value(value_node, (*at, key))
        return result

    def scalar(self, node: yaml.Node) -> Json:
        """Return text, a number, a boolean or null."""
        text = str(node.value)
        match node.tag.removeprefix(_PREFIX):
            case "str":
                return text
            case "null":
                return None
            case "bool" if text in {"true", "false"}:
                return text == "true"
            case "int" if re.fullmatch(r"[-+]?[0-9]{1,19}", text) and -(2**63) <= int(text) < 2**63:
                return int(text)
            case "float" if re.fullmatch(r"[-+0-9.eE]+", text) and (number := _finite(text)) is not None:
                return number
            case "bool" | "int" | "float" as kind:
                problem = f"{_shown(text)} is not a JSON {kind} (integers have 64 bits at most)"
            case _:
                problem = f"the tag {_shown(node.tag)} is not JSON: use text, numbers, lists and mappings"
        return self.refuse(node, problem)

    def require_tag(self, node: yaml.Node, kind: str) -> None:
        """Refuse `!!set`, `!!python/object` and other tags that are not JSON."""
        if node.tag != _PREFIX + kind:
            self.refuse(node, f"the tag {_shown(node.tag)} is not JSON: use text, numbers, lists and mappings")

    def refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        """Raise `YamlInvalid` for the line of `node`."""
        raise YamlInvalid(file=self.file, line=node.start_mark.line + 1, problem=problem)


def _finite(text: str) -> float | None:
    """Return the number that `text` writes, None when it is not a finite one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS])
