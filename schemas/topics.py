"""The topics as a checked contract: what `topics.yaml` states, with names, limits and co-partitioning verified."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from schemas.errors import OrchestratorError

TOOL_TOPIC_PREFIX = "tool-calls-"
TOOL_TEMPLATE = TOOL_TOPIC_PREFIX + "{tool}"
MAX_TOPIC_CHARACTERS = 249
"""Kafka's own limit: a topic is a directory with a partition number behind it."""

DEFAULT_PATH = Path(__file__).resolve().parent.parent / "topics.yaml"

Role: TypeAlias = Literal[
    "upstream", "gateway", "planner", "tools", "aggregator", "replay", "console", "auditors", "dlq"
]
"""Who writes or reads a topic. `upstream` is everything outside this project."""


class TopicsFileInvalid(OrchestratorError):
    """{path}:{line}: {problem}"""  # noqa: D400 - the docstring is the message, and the problem ends it


class UnknownTopic(OrchestratorError):
    """There is no topic {name!r} in the contract. It has: {known}."""


class TopicNameInvalid(OrchestratorError):
    """{name!r} cannot be a topic: Kafka takes 1 to 249 of a-z A-Z 0-9 . _ - only. Change the name or the prefix."""


class TopicNameClash(OrchestratorError):
    """The tools {first!r} and {second!r} would both get the topic {topic!r}. Rename one of them."""


def checked_topic_name(name: str) -> str:
    """Return `name` unchanged when Kafka accepts it as a topic, else raise `TopicNameInvalid`."""
    if not re.fullmatch(r"[a-zA-Z0-9._-]+", name) or len(name) > MAX_TOPIC_CHARACTERS or name in {".", ".."}:
        raise TopicNameInvalid(name=name)
    return name


def prefixed(prefix: str, name: str) -> str:
    """Put an installation's prefix (may be empty) before a topic; the result is a name that Kafka accepts."""
    return checked_topic_name(prefix + name)


def tool_topic(tool: str) -> str:
    """Name the topic of a tool's calls: lower case, every run of other characters than a-z and 0-9 is one "-"."""
    slug = re.sub(r"[^a-z0-9]+", "-", tool.lower()).strip("-")
    if not slug:
        raise TopicNameInvalid(name=tool)
    return checked_topic_name(TOOL_TOPIC_PREFIX + slug)


def _config_text(value: object) -> object:
    """Write a YAML scalar the way Kafka reads configuration: text, with lower-case booleans."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _name_or_template(name: str) -> str:
    """Accept a legal topic name or the template's."""
    try:
        return name if name == TOOL_TEMPLATE else checked_topic_name(name)
    except TopicNameInvalid as error:
        raise ValueError(str(error)) from error


ConfigValue = Annotated[str, BeforeValidator(_config_text)]
Count = Annotated[int, Field(strict=True, ge=1)]


class _Part(BaseModel):
    """A frozen part of the contract. Unlike a record on the wire it refuses unknown fields: they are typing errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _error_at(place: tuple[int | str, ...], problem: str) -> ValidationError:
    """Return the error of one place, for checks that see more than it."""
    # The text goes in as a value, because braces in a template would be filled in.
    kind = PydanticCustomError("topics", "{problem}", {"problem": problem})
    return ValidationError.from_exception_data("TopicsContract", [{"type": kind, "loc": place, "input": None}])


class TopicSpec(_Part):
    """One topic as it should be on the broker, or the template of the tools' topics."""

    name: Annotated[str, AfterValidator(_name_or_template)]
    description: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]
    types: Annotated[tuple[str, ...], Field(alias="schema")]
    """The `type`s of the values; empty when the values are foreign bytes."""
    producers: Annotated[tuple[Role, ...], Field(min_length=1)]
    consumers: Annotated[tuple[Role, ...], Field(min_length=1)]
    partitions: Count
    replication: Count
    config: dict[str, ConfigValue]
    """Topic-level settings by Kafka's names. Settings not named here are left as the broker has them."""
    co_partitioned: bool = False
    reserved: bool = False

    @property
    def is_template(self) -> bool:
        """Whether this describes the topics of all tools instead of one topic."""
        return self.name == TOOL_TEMPLATE


class TopicsContract(_Part):
    """All topics of one installation, without prefix."""

    partitions: Count
    """Partitions of every co-partitioned topic, and the default of the others."""
    replication: Count
    topics: tuple[TopicSpec, ...]
    """The topics with a fixed name, in the order of the file."""
    template: TopicSpec
    """What every tool's topic looks like."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, raw: object) -> object:
        """Give every entry the defaults of the file, and take the template out of the list."""
        if not isinstance(raw, Mapping) or "template" in raw or not isinstance(raw.get("topics"), list):
            return raw
        defaults = {key: raw[key] for key in ("partitions", "replication") if key in raw}
        entries = [{**defaults, **entry} if isinstance(entry, Mapping) else entry for entry in raw["topics"]]
        templates = [entry for entry in entries if isinstance(entry, Mapping) and entry.get("name") == TOOL_TEMPLATE]
        if len(templates) != 1:
            message = f"exactly one topic must be named {TOOL_TEMPLATE!r}, the template of the tools' topics"
            raise ValueError(message)
        return {**raw, "topics": [entry for entry in entries if entry is not templates[0]], "template": templates[0]}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        names: set[str] = set()
        for number, topic in enumerate(self.topics):
            if topic.name in names:
                raise _error_at(("topics", number, "name"), f"topic {topic.name!r} is stated twice")
            names.add(topic.name)
            if topic.co_partitioned and topic.partitions != self.partitions:
                problem = (
                    f"topic {topic.name!r} is co-partitioned, so it cannot have {topic.partitions} partitions of its "
                    f"own: change `partitions` at the top ({self.partitions}) or leave it out here"
                )
                raise _error_at(("topics", number, "partitions"), problem)
        return self

    def topic(self, name: str) -> TopicSpec:
        """Return the topic of that name (without prefix), or raise `UnknownTopic`."""
        for topic in self.topics:
            if topic.name == name:
                return topic
        raise UnknownTopic(name=name, known=", ".join(topic.name for topic in self.topics))

    def for_tools(self, tools: Iterable[str]) -> tuple[TopicSpec, ...]:
        """Return one topic per tool, in the order given; two tools with one topic raise `TopicNameClash`."""
        owners: dict[str, str] = {}
        for tool in tools:
            topic = tool_topic(tool)
            first = owners.setdefault(topic, tool)
            if first != tool:
                raise TopicNameClash(first=first, second=tool, topic=topic)
        return tuple(
            self.template.model_copy(
                update={"name": topic, "description": f"Calls of the tool {tool}. {self.template.description}"}
            )
            for topic, tool in owners.items()
        )

    def installation(
        self, tools: Sequence[str] = (), *, prefix: str = "", replication: int | None = None
    ) -> tuple[TopicSpec, ...]:
        """Return every topic an installation with these tools needs, with its prefix and replication factor."""
        change: dict[str, object] = {} if replication is None else {"replication": replication}
        return tuple(
            spec.model_copy(update={"name": prefixed(prefix, spec.name), **change})
            for spec in (*self.topics, *self.for_tools(tools))
        )


def load_topics(path: Path | None = None) -> TopicsContract:
    """Read the contract from a file, by default the project's `topics.yaml`.

    Raises `TopicsFileInvalid` with file and line for whatever is wrong with it, FileNotFoundError when it is missing.
    """
    path = path or DEFAULT_PATH
    text = path.read_text(encoding="utf-8")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(path, mark.line if mark else 0, f"not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        _refuse(path, 0, f"not YAML: {error}")
    if not isinstance(root, yaml.MappingNode):
        _refuse(path, 0, "expected a mapping with `partitions`, `replication` and `topics`")
    for key in _repeated_keys(root):
        _refuse(path, key.start_mark.line, f"{key.value!r} is stated twice")
    try:
        return TopicsContract.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = _steps_in_file(raw, first["loc"])
        field = ".".join(str(step) for step in where)
        problem = first["msg"].removeprefix("Value error, ")
        _refuse(path, _line_of(root, where), f"{field}: {problem}" if field else problem)


def _refuse(path: Path, line: int, problem: str) -> NoReturn:
    """Raise the error for a zero-based line of the file."""
    raise TopicsFileInvalid(path=path, line=line + 1, problem=problem)


def _repeated_keys(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield every mapping key that its mapping had before; the YAML reader would silently keep the last one."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key
            seen.add(key.value)
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _repeated_keys(child)


def _steps_in_file(raw: Mapping[str, object], loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Translate a place in the model to the place in the file, where the template is one entry of the list."""
    entries = raw.get("topics")
    if not loc or not isinstance(entries, list) or loc[0] not in {"topics", "template"}:
        return loc
    fixed = [
        i for i, entry in enumerate(entries) if not isinstance(entry, Mapping) or entry.get("name") != TOOL_TEMPLATE
    ]
    template = next(i for i in range(len(entries)) if i not in fixed) if loc[0] == "template" else -1
    if loc[0] == "template":
        return ("topics", template, *loc[1:])
    return ("topics", fixed[int(loc[1])], *loc[2:]) if len(loc) > 1 else loc


def _line_of(node: yaml.Node, steps: tuple[int | str, ...]) -> int:
    """Return the zero-based line of the deepest node on the way that exists."""
    line = int(node.start_mark.line)
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = [(node.value[step], node.value[step])]
        else:
            break
        if not found:
            break
        marked, node = found[0]
        line = int(marked.start_mark.line)
    return line
