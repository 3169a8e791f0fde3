"""Promises of `@tool` about a function's signature."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from agents.tools.errors import ToolDeclarationError
from agents.tools.tool import tool
from schemas.tool_spec import ToolSpec
from tests.support.call_context import CONTEXT
from tests.unit.agents.tools.example_tool import describe


def test_the_specification_comes_from_the_signature() -> None:
    """Name, description, schema, defaults and parameter descriptions are what the function says, without titles."""
    spec = describe.spec
    assert (spec.name, spec.description) == ("describe", "Describe a thing.\n\nAt some length.")
    assert (spec.effect, spec.timeout_ms, spec.toolset) == ("pure", None, "default")
    properties = spec.parameters["properties"]
    assert properties["title"] == {"type": "string", "minLength": 1, "description": "What to call it."}
    assert properties["count"] == {"type": "integer"}
    assert properties["kind"] == {"type": "string", "enum": ["big", "small"], "default": "small"}
    assert spec.parameters["required"] == ["title", "count"]
    assert spec.parameters["additionalProperties"] is False
    assert set(spec.parameters) == {"type", "properties", "required", "additionalProperties", "$defs"}
    assert "title" not in spec.parameters["$defs"]["Address"]
    assert spec.parameters["$defs"]["Address"]["properties"]["number"] == {"type": "integer", "default": 1}


def test_options_of_the_decorator_reach_the_specification() -> None:
    """What an owner declares is what the planner and the executor read."""

    @tool(name="send-mail", description="Send it.", effectful=True, timeout_ms=7, toolset="mail")
    def send(to: str) -> str:
        return to

    assert send.spec == ToolSpec(
        name="send-mail",
        description="Send it.",
        parameters={
            "type": "object",
            "properties": {"to": {"type": "string"}},
            "required": ["to"],
            "additionalProperties": False,
        },
        effect="effectful",
        timeout_ms=7,
        toolset="mail",
    )


async def test_parameters_may_have_any_name() -> None:
    """Names that mean something to pydantic are parameters like others."""

    @tool
    def odd(json: str, model_config: int, _hidden: bool, copy: float = 0.5) -> list[Any]:  # noqa: FBT001 - a schema
        return [json, model_config, _hidden, copy]

    assert list(odd.spec.parameters["properties"]) == ["json", "model_config", "_hidden", "copy"]
    arguments = {"json": "j", "model_config": 1, "_hidden": True}
    assert await odd.run(arguments, CONTEXT) == ["j", 1, True, 0.5]
    failure = odd.check({**arguments, "_hidden": "yes"})
    assert failure is not None
    assert "$._hidden" in failure.message


def test_datetimes_without_offset_are_accepted_where_the_function_takes_them() -> None:
    """Formats are the Python type's business for typed functions: models write local times all the time."""

    @tool
    def at(moment: datetime) -> str:
        return moment.isoformat()

    assert at.check({"moment": "2026-11-23T12:00:00"}) is None


def _unannotated(first, second: int) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001 - the point


def _variadic(*rest: int) -> None: ...


def _keywords(**rest: int) -> None: ...


def _positional(first: int, /) -> None: ...


def _callback(hook: Callable[[], None]) -> None: ...


def _lock(lock: threading.Lock) -> None: ...


def _unresolved(thing: NoSuchType) -> None: ...  # type: ignore[name-defined] # noqa: F821 - the point


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (_unannotated, "'first'"),
        (_variadic, r"'\*rest"),
        (_keywords, r"'\*\*rest"),
        (_positional, "'first"),
        (_callback, "'hook'"),
        (_lock, "'lock'"),
        (_unresolved, "NoSuchType"),
    ],
)
def test_a_signature_that_cannot_be_described_fails_at_registration(function: Callable[..., Any], named: str) -> None:
    """The error names the function and the parameter."""
    with pytest.raises(ToolDeclarationError, match=named) as raised:
        tool(function)
    assert function.__name__ in str(raised.value)


@pytest.mark.parametrize("name", ["", "with space", "-dash", "a/b", "ü", "x" * 129, "new\nline"])
def test_a_bad_name_fails_at_registration(name: str) -> None:
    """A name must fit a model's API and a topic."""
    with pytest.raises(ToolDeclarationError, match=r"\$\.name"):
        tool(name=name)(lambda: None)


def test_a_bad_option_fails_at_registration() -> None:
    """Neither a wrong value nor a misspelt option is ignored."""
    with pytest.raises(ToolDeclarationError, match=r"\$\.timeout_ms"):
        tool(timeout_ms=0)(lambda: None)
    with pytest.raises(ToolDeclarationError, match="unknown option timout_ms"):
        tool(timout_ms=5)(lambda: None)  # type: ignore[call-overload]  # that it is refused is the test
