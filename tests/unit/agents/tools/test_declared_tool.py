"""Promises of `Tool.declare`."""

from __future__ import annotations

from typing import Any

import pytest

from agents.tools.errors import ToolDeclarationError
from agents.tools.tool import Tool
from schemas.tool_spec import ToolSpec
from tests.support.call_context import CONTEXT
from tests.unit.agents.tools.example_tool import ANY_OBJECT


async def test_an_explicit_schema_is_enforced_with_its_formats() -> None:
    """A declared tool gets the arguments as they came, in a dict of its own."""
    schema = {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}
    given: dict[str, Any] = {"at": "2026-11-23T12:00:00Z", "more": [1]}

    async def remember(arguments: dict[str, Any]) -> int:
        arguments["more"].append(2)
        return len(arguments["more"])

    declared = Tool.declare({"name": "remember", "parameters": schema, "effect": "effectful"}, remember)
    assert declared.check({"at": "yesterday"}) is not None
    assert await declared.run(given, CONTEXT) == 2
    assert given["more"] == [1]


async def test_a_declared_function_may_take_the_context() -> None:
    """With two parameters the second is the context; a sync one that returns an awaitable is awaited."""
    spec = ToolSpec(name="ctx", parameters=ANY_OBJECT)
    assert await Tool.declare(spec, lambda _, context: context.call_id).run({}, CONTEXT) == "call-1"

    async def later() -> str:
        return "later"

    assert await Tool.declare(spec, lambda _: later()).run({}, CONTEXT) == "later"
    with pytest.raises(ToolDeclarationError, match="must take"):
        Tool.declare(spec, lambda: None)


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "properties": {"a": {"type": "strin"}}}, r"\$\.properties\.a\.type"),
        ({"type": "array"}, "type 'object'"),
        ({}, "type 'object'"),
        ({"type": "object", "$ref": "http://127.0.0.1:9/schema.json"}, "Retrieval is disabled"),
        ({"type": "object", "$ref": "file:///etc/passwd"}, "Retrieval is disabled"),
        ({"type": "object", "patternProperties": {"(": {}}}, "regex"),
    ],
)
def test_a_declared_schema_is_itself_checked(schema: dict[str, Any], named: str) -> None:
    """A wrong schema fails when declared, and none is fetched from elsewhere."""
    with pytest.raises(ToolDeclarationError, match=named):
        Tool.declare({"name": "declared", "parameters": schema}, lambda arguments: arguments)


def test_a_declared_specification_is_checked() -> None:
    """A misspelt field is an error here, though the wire ignores unknown fields."""
    with pytest.raises(ToolDeclarationError, match="unknown option parametres"):
        Tool.declare({"name": "x", "parametres": ANY_OBJECT}, lambda arguments: arguments)
