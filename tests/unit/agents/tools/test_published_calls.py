"""Strict validation against 400 published prompts with tool schemas and the calls that models are expected to make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from agents.tools.tool import Tool

CORPUS = Path(__file__).parents[5] / "shared" / "data"
FILES = ("bfcl-multiple.jsonl", "bfcl-parallel.jsonl")
TYPES = {"dict": "object", "float": "number", "tuple": "array"}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.is_dir(), reason=f"no corpus of published calls in {CORPUS}"),
]


def json_schema(schema: Any, *, is_schema: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """Translate the corpus's own names of types, in a schema or in the `properties` of one."""
    if not isinstance(schema, dict):
        return schema
    translated = {
        key: json_schema(value, is_schema=not is_schema or key != "properties")
        for key, value in schema.items()
        if not (is_schema and key == "optional")
    }
    kind = translated.get("type")
    if is_schema and kind == "any":
        del translated["type"]
    elif is_schema and isinstance(kind, str):
        translated["type"] = TYPES.get(kind, kind)
    return translated


def examples() -> list[dict[str, Any]]:
    """Return all lines of the corpus."""
    return [orjson.loads(line) for name in FILES for line in (CORPUS / name).read_bytes().splitlines()]


def declared(function: dict[str, Any]) -> Tool:
    """Declare a function of the corpus as a tool."""
    parameters = json_schema(function["parameters"]) | {"additionalProperties": False}
    fields = {"name": function["name"], "description": function["description"], "parameters": parameters}
    return Tool.declare(fields, lambda arguments: arguments)


def expected(accepted: dict[str, Any]) -> dict[str, Any]:
    """Return the first accepted value of each argument, members likewise; one that may be left out is."""
    return {name: _members(values[0]) for name, values in accepted.items() if "" not in values}


def _members(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return expected(value)
    return [_members(item) for item in value] if isinstance(value, list) else value


def test_the_corpus_is_declared_and_its_calls_are_judged() -> None:
    """Every schema can be declared, every expected call fits but one, and an argument too many is always refused."""
    calls, refused = 0, []
    for example in examples():
        tools = {function["name"]: declared(function) for function in example["functions"]}
        for [(name, accepted)] in (list(call.items()) for call in example["ground_truth"]):
            calls += 1
            arguments = expected(accepted)
            if failure := tools[name].check(arguments):
                refused.append(f"{example['id']}: {failure.message}")
            surplus = tools[name].check(arguments | {"surplus": 1})
            assert surplus is not None
            assert "surplus" in surplus.message
    assert calls > 600
    # The corpus contradicts itself once: it lets a call leave out what its own schema requires.
    message = 'Invalid arguments for calculate_final_speed: $: "initial_velocity" is a required property.'
    assert refused == [f"parallel_88: {message}"]
