"""Published prompts with their own functions: every expected call is executed once, with its arguments unchanged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.tools.tool import Tool
from tests.support.pipeline import Document, Pipeline, call, script

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data" / "bfcl-parallel.jsonl"
PROMPTS = 20

JSON_TYPES: Mapping[str, str | None] = {"dict": "object", "float": "number", "tuple": "array", "any": None}
"""The corpus' own type names, as JSON Schema has them; None: any type."""

Execution = tuple[str, dict[str, Any]]


def json_schema(node: dict[str, Any]) -> dict[str, Any]:
    """Translate a schema of the corpus, at any depth. A property named `type` is a property."""
    schema = {key: value for key, value in node.items() if key in {"description", "enum", "default", "required"}}
    kind = JSON_TYPES.get(node["type"], node["type"])
    if kind is not None:
        schema["type"] = kind
    if "properties" in node:
        schema["properties"] = {name: json_schema(child) for name, child in node["properties"].items()}
    if "items" in node:
        schema["items"] = json_schema(node["items"])
    return schema


def first_accepted(expected: Mapping[str, list[Any]]) -> dict[str, Any]:
    """Take the first accepted value of each argument; an empty text stands for leaving it out."""
    return {name: plain(values[0]) for name, values in expected.items() if values[0] != ""}


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Resolve accepted values inside a value: objects state a list of them for each member."""
    if isinstance(value, dict):
        return first_accepted(value)
    return [plain(item) for item in value] if isinstance(value, list) else value


def escaped(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Write a value so that a script says just it: braces in text are doubled."""
    match value:
        case str():
            return value.replace("{", "{{").replace("}", "}}")
        case dict():
            return {key: escaped(item) for key, item in value.items()}
        case list():
            return [escaped(item) for item in value]
        case _:
            return value


def recording(name: str, schema: dict[str, Any], executions: dict[str, list[Execution]]) -> Tool:
    """Make a tool that notes which run called it with what, and returns its arguments."""

    def execute(arguments: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - a call context
        executions.setdefault(context.correlation_id, []).append((name, arguments))
        return {"of": name, "arguments": arguments}

    fields = {"name": name, "description": schema.get("description", ""), "parameters": json_schema(schema)}
    return Tool.declare(fields, execute)


def in_one_order(executions: list[Execution]) -> list[str]:
    """Write executions so that their order, and that of their arguments, does not matter; 5 and 5.0 differ."""
    return sorted(json.dumps(execution, sort_keys=True) for execution in executions)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_file(), reason=f"the corpus {CORPUS.name} is not beside the project")
async def test_the_calls_of_published_prompts_are_executed_once_with_their_arguments(
    kafka: str, topic_prefix: str
) -> None:
    """Twenty prompts at once, two to eight calls each; what a tool was given is what the model wrote."""
    with CORPUS.open(encoding="utf-8") as lines:
        cases = [json.loads(line) for _, line in zip(range(PROMPTS), lines, strict=False)]
    executions: dict[str, list[Execution]] = {}
    tools = {
        function["name"]: recording(function["name"], function["parameters"], executions)
        for case in cases
        for function in case["functions"]
    }
    expected: dict[str, list[Execution]] = {
        case["id"]: [(name, first_accepted(given)) for one in case["ground_truth"] for name, given in one.items()]
        for case in cases
    }
    entries: list[tuple[str, list[Document]]] = [
        (
            f"^{case['id']}: ",
            [{"calls": [call(name, **escaped(given)) for name, given in expected[case["id"]]]}, {"answer": "done"}],
        )
        for case in cases
    ]
    async with Pipeline(kafka, topic_prefix, script(*entries), tools.values()) as pipeline:
        await pipeline.start()
        prompts = {case["id"]: f"{case['id']}: {case['messages'][0]['content']}" for case in cases}
        requests = (pipeline.submit({"prompt": prompt}, name.encode()) for name, prompt in prompts.items())
        await asyncio.gather(*requests)
        await pipeline.answered(PROMPTS)
        await pipeline.assert_answered_once(*expected)
        for name, calls in expected.items():
            assert in_one_order(executions[name]) == in_one_order(calls)
            response = pipeline.responses()[name][0]
            assert response["status"] == "completed"
            assert [(one["tool"], one["arguments"]) for one in response["results"]] == calls
            assert [one["result"] for one in response["results"]] == [
                {"of": tool, "arguments": given} for tool, given in calls
            ]
