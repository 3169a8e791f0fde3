"""The manual of the scripted model is executed: scripts are played, transcripts and error messages compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agents.llm.script import Script, ScriptInvalid
from agents.llm.scripted import ScriptedModel
from tests.support.scripted_run import play

MANUAL = Path(__file__).parents[2] / "docs" / "scripted-model.md"
BLOCKS = re.findall(r"^```(yaml|text)\n(.*?)^```$", MANUAL.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
PAIRS = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))


def test_the_manual_has_pairs_of_script_and_outcome() -> None:
    """Each script is followed by what comes of it."""
    assert [(script[0], outcome[0]) for script, outcome in PAIRS] == [("yaml", "text")] * 6


@pytest.mark.parametrize(("script", "outcome"), [(script[1], outcome[1]) for script, outcome in PAIRS])
async def test_the_manual_is_true(script: str, outcome: str) -> None:
    """The outcome is a transcript for each prompt, or the whole error message."""
    if outcome.startswith("script.yaml:"):
        with pytest.raises(ScriptInvalid) as raised:
            Script.parse(script)
        assert str(raised.value) == outcome.strip()
        return
    for transcript in outcome.strip().split("\n\n"):
        prompt = transcript.splitlines()[0].removeprefix("prompt: ")
        played = await play(ScriptedModel(Script.parse(script)), prompt)
        calls = [f"call: {call.tool} {json.dumps(call.arguments)}" for call in played.calls]
        assert "\n".join([f"prompt: {prompt}", *calls, f"answer: {played.answer}"]) == transcript
