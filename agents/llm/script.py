"""The script of the scripted model: which prompt leads to which calls and answers (see docs/scripted-model.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator

from agents.llm.template import Placeholder, Template, TemplateError
from agents.llm.yaml_document import MAX_BYTES, Location, YamlDocument, YamlInvalid
from schemas.base import Float, Json
from schemas.errors import OrchestratorError
from schemas.tool_spec import ToolName

DEFAULT_SCRIPT: Final = Path(__file__).with_name("default_script.yaml")
RESERVED_NAMES: Final = frozenset({"prompt", "results"})
_SHOWN_PROBLEMS: Final = 20

Delay = Annotated[Float, Field(ge=0, le=600_000)]
"""Milliseconds, at most ten minutes."""


class ScriptInvalid(OrchestratorError):
    """{problems}"""  # noqa: D400 - one line per problem: file:line: field: what is wrong


class ScriptUnreadable(OrchestratorError):
    """Cannot read the script {file}: {reason}. ORCHESTRATOR_SCRIPT must name a YAML file."""


class _Part(BaseModel):
    """A part of a script; an unknown field is a typing error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptedCall(_Part):
    """A call the model makes. Strings in `arguments`, however deep, are templates.

    Other calls of the turn may refer to its result by its `id`: `{$result: id, path: /json/pointer}`.
    """

    id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    tool: ToolName
    arguments: dict[str, Json] = {}


class ScriptedTurn(_Part):
    """What the model says in one turn: either `calls` or an `answer` (a template), after `first_token_ms`.

    Each call takes `per_call_ms` from its start to its seal.
    """

    calls: tuple[ScriptedCall, ...] = ()
    answer: str | None = None
    first_token_ms: Delay = 0
    per_call_ms: Delay = 0

    @model_validator(mode="after")
    def _has_calls_or_answer(self) -> Self:
        if (self.answer is None) == (not self.calls):
            message = "a turn has either calls (one or more) or an answer"
            raise ValueError(message)
        return self


class ScriptEntry(_Part):
    """What happens to prompts in which the regular expression `match` is found."""

    match: str
    turns: tuple[ScriptedTurn, ...]

    @field_validator("match")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            names = re.compile(pattern).groupindex.keys()
        except (re.error, OverflowError, RecursionError) as error:
            message = f"not a regular expression: {error}"
            raise ValueError(message) from None
        if taken := names & RESERVED_NAMES:
            message = f"a group cannot be named {' or '.join(sorted(taken))}: the name has a meaning in templates"
            raise ValueError(message)
        return pattern

    @field_validator("turns")
    @classmethod
    def _has_a_turn(cls, turns: tuple[ScriptedTurn, ...]) -> tuple[ScriptedTurn, ...]:
        # Not min_length: pydantic counts valid turns only, and would report that beside what is wrong with the others.
        if not turns:
            message = "must have at least one turn"
            raise ValueError(message)
        return turns

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled `match`."""
        return re.compile(self.match)


_ENTRIES: Final = TypeAdapter(tuple[ScriptEntry, ...])


@dataclass(frozen=True, slots=True)
class Script:
    """Entries in order; the first that matches a prompt decides. `file` is for messages."""

    file: str
    entries: tuple[ScriptEntry, ...]

    @classmethod
    def parse(cls, text: str, file: str = "script.yaml") -> Script:
        """Read a script; raise `ScriptInvalid`, which lists every problem with its file, line and field."""
        try:
            document = YamlDocument.parse(text, file)
        except YamlInvalid as error:
            raise ScriptInvalid(problems=str(error)) from None
        if not isinstance(document.value, list) or not document.value:
            raise _invalid(document, [((), "a script is a list of entries, each with match and turns")])
        try:
            entries = _ENTRIES.validate_python(document.value)
        except ValidationError as error:
            found = [(details["loc"], _sentence(details["type"], details["msg"])) for details in error.errors()]
            raise _invalid(document, found) from None
        if found := [problem for index, entry in enumerate(entries) for problem in _template_problems(index, entry)]:
            raise _invalid(document, found)
        return cls(file, entries)

    @classmethod
    def load(cls, path: Path | None = None) -> Script:
        """Read the script in a file, or the built-in one; raise `ScriptUnreadable` or `ScriptInvalid`."""
        path = path or DEFAULT_SCRIPT
        try:
            with path.open("rb") as file:
                # One byte more than allowed is enough to know; the rest may be /dev/zero.
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ScriptUnreadable(file=str(path), reason=error.strerror or type(error).__name__) from None
        if len(data) > MAX_BYTES:
            raise ScriptUnreadable(file=str(path), reason=f"it is larger than {MAX_BYTES:,} bytes")
        try:
            return cls.parse(data.decode(), path.name)
        except UnicodeDecodeError as error:
            raise ScriptUnreadable(file=str(path), reason=f"it is not UTF-8 at byte {error.start}") from None

    def find(self, prompt: str) -> tuple[ScriptEntry, re.Match[str]] | None:
        """Return the first entry whose pattern is found in `prompt`, with the match."""
        for entry in self.entries:
            if match := entry.pattern.search(prompt):
                return entry, match
        return None


def _template_problems(index: int, entry: ScriptEntry) -> Iterator[tuple[Location, str]]:
    """Find what is wrong with the templates of an entry as far as can be known without a prompt."""
    names = frozenset(entry.pattern.groupindex) | {"prompt"}
    calls_before = 0
    for number, turn in enumerate(entry.turns):
        for place, text in _texts(turn):
            at: Location = (index, "turns", number, *place)
            try:
                template = Template.parse(text)
            except TemplateError as error:
                yield at, str(error)
                continue
            for placeholder in template.placeholders:
                if problem := _placeholder_problem(placeholder, names, calls_before):
                    yield at, f"{placeholder}: {problem}"
        calls_before = len(turn.calls)


def _placeholder_problem(placeholder: Placeholder, names: frozenset[str], calls_before: int) -> str | None:
    """Say what is wrong with a placeholder of a turn that follows one with `calls_before` calls."""
    if placeholder.name == "results":
        index = placeholder.keys[0] if placeholder.keys else "0"
        if not index.isdecimal():
            return "the results of the previous turn are numbered, write {results[0]}"
        if not calls_before:
            return "the turn before makes no calls"
        if int(index) >= calls_before:
            return f"the turn before makes {calls_before} call(s), counted from 0"
    elif placeholder.name not in names:
        return f"there is no such name; known are {', '.join(sorted(names | RESERVED_NAMES))}"
    elif placeholder.keys:
        return f"{placeholder.name} is text and has no parts"
    return None


def _texts(turn: ScriptedTurn) -> Iterator[tuple[Location, str]]:
    """Yield every template of a turn with its place."""
    if turn.answer is not None:
        yield ("answer",), turn.answer
    for number, call in enumerate(turn.calls):
        yield from _texts_in(call.arguments, ("calls", number, "arguments"))


def _texts_in(value: Json, at: Location) -> Iterator[tuple[Location, str]]:
    """Yield every string inside a JSON value with its place."""
    match value:
        case str():
            yield at, value
        case dict():
            for key, item in value.items():
                yield from _texts_in(item, (*at, key))
        case list():
            for index, item in enumerate(value):
                yield from _texts_in(item, (*at, index))
        case _:
            return


def _invalid(document: YamlDocument, found: list[tuple[Location, str]]) -> ScriptInvalid:
    """Return the error that lists problems as `file:line: field: what is wrong`."""
    lines = [f"{document.file}:{document.line(at)}: {_field(at)}{problem}" for at, problem in found[:_SHOWN_PROBLEMS]]
    if len(found) > _SHOWN_PROBLEMS:
        lines.append(f"{document.file}: and {len(found) - _SHOWN_PROBLEMS} more")
    return ScriptInvalid(problems="\n".join(lines))


def _field(at: Location) -> str:
    """Write a place inside an entry: `turns[0].calls[1].tool: `; the line says which entry."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at[1:])
    return f"{parts.removeprefix('.')}: " if parts else ""


def _sentence(kind: str, message: str) -> str:
    """Say what pydantic says, in a script author's words where those are clearer."""
    match kind:
        case "extra_forbidden":
            return "there is no such field"
        case "missing":
            return "is missing"
        case "model_type" | "dict_type":
            return "must be a mapping of fields"
        case "tuple_type":
            return "must be a list"
        case _:
            return message.removeprefix("Value error, ")
