"""Promises of the router: the model a request names, or a clear error."""

from __future__ import annotations

import pytest

from agents.llm.model import ModelUnknown
from agents.llm.router import Router
from agents.llm.script import Script
from agents.llm.scripted import ScriptedModel

SCRIPTED = ScriptedModel(Script.load(None))


@pytest.mark.parametrize("name", ["openai:gpt-5", "anthropic:claude", "openai"])
def test_a_provider_that_comes_later_is_said_to(name: str) -> None:
    """Whoever has a key must not look for a mistake in it."""
    router = Router({"scripted": SCRIPTED}, "scripted")
    with pytest.raises(ModelUnknown, match="comes with a later version, this installation has scripted"):
        router.find(name)
    with pytest.raises(ModelUnknown, match="comes with a later version"):
        Router({"scripted": SCRIPTED}, name)


def test_a_provider_that_nobody_knows_is_named_with_those_there_are() -> None:
    """No promise is made for it."""
    with pytest.raises(ModelUnknown, match="No model 'acme:1' here: this installation has scripted"):
        Router({"scripted": SCRIPTED}, "scripted").find("acme:1")
