"""The tools and the models of a simulation: what can be called, and what a model says to a prompt."""

from __future__ import annotations

import random

from agents.llm.model import CallSealed, ModelEvent, TextDelta
from agents.tools.registry import Registry
from agents.tools.tool import Tool
from agents.turn import Turn
from streams.routes import Routes

ROUTES = Routes("")
SCHEMA = {"type": "object", "properties": {"n": {}, "of": {}}, "additionalProperties": False}


def _unused(_: object) -> None:
    """Never called: workers of the simulation only take the time a tool would."""


def _tool(name: str, effect: str) -> Tool:
    return Tool.declare({"name": name, "parameters": SCHEMA, "effect": effect}, _unused)


REGISTRY = Registry([_tool("look", "pure"), _tool("pay", "effectful"), _tool("gone", "effectful")])
"""`gone` has no topic: nobody can run it."""

RUNNABLE = ("look", "pay")
TOPICS = {ROUTES.tool_topic(name) for name in RUNNABLE}


def speak(turn: Turn, rng: random.Random) -> list[ModelEvent]:
    """Say what a model says: mostly the same for the same turn, now and then something else. Few turns, then text."""
    if rng.random() < 0.8:
        rng = random.Random(f"{turn.request.prompt} {turn.turn}")  # noqa: S311 - chance for a test, not for a secret
    if turn.turn > rng.randint(0, 2):
        return [TextDelta(f"answer {rng.randint(1, 9)}")]
    calls: list[ModelEvent] = []
    for index in range(rng.randint(1, 4)):
        tool = rng.choice(("look",) * 6 + ("pay",) * 3 + ("gone", "unknown"))
        arguments: dict[str, object] = {"n": rng.randint(1, 3)}
        if index and rng.random() < 0.4:
            path = rng.choice(("", "/value", "/value", "/nowhere"))
            arguments["of"] = {"$result": str(rng.randrange(index)), "path": path}
        calls.append(CallSealed(index, tool, arguments, label=str(index)))
    return calls
