"""What becomes of a run when a call, or the model, fails."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agents.tools.tool import ToolFailed, tool
from tests.support.pipeline import Pipeline, call, running, script

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = script(
    ("^one of two breaks$", [{"calls": [call("echo", text="kept"), call("break_down")]}, {"answer": "{results[1]}"}]),
    ("^all break$", [{"calls": [call("break_down"), call("give_up")]}, {"answer": "Nothing worked."}]),
    ("^unknown$", [{"calls": [call("teleport"), call("echo", text="kept")]}, {"answer": "done"}]),
    ("^wrong type$", [{"calls": [call("echo", text=5), call("echo", text="kept")]}, {"answer": "done"}]),
    ("^too much$", [{"calls": [call("flood")]}, {"answer": "done"}]),
    ("^endless$", [{"calls": [call("echo", text="more")]}, {"calls": [call("echo", text="and more")]}]),
    ("^say$", [{"calls": [call("echo", text="x")]}, {"answer": "done"}]),
)
EXECUTED: list[str] = []


@tool
def echo(text: str) -> str:
    """Return the text."""
    EXECUTED.append(text)
    return text


@tool
def break_down() -> None:
    """Raise something foreign."""
    message = "out of cheese"
    raise RuntimeError(message)


@tool
def give_up() -> None:
    """Say that it cannot."""
    raise ToolFailed(reason="not today", retryable=True)


@tool
def flood() -> str:
    """Return more than fits."""
    return "x" * 300_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(kafka: str, module_prefix: str) -> AsyncIterator[Pipeline]:
    """One of each role, shared by the tests of this module."""
    async with running(kafka, module_prefix, SCRIPT, [echo, break_down, give_up, flood]) as pipeline:
        yield pipeline


async def test_a_call_that_raises_leaves_the_others_their_results(pipeline: Pipeline) -> None:
    """The run is `partial`, the failure is named, and the model is told of it."""
    response = await pipeline.ask("one of two breaks")
    assert response["status"] == "partial"
    kept, broken = response["results"]
    assert (kept["status"], kept["result"], kept["error"]) == ("succeeded", "kept", None)
    assert (broken["status"], broken["result"]) == ("failed", None)
    assert broken["error"]["code"] == "tool_failed"
    assert "out of cheese" in broken["error"]["message"]
    assert response["error"] == broken["error"]
    assert "out of cheese" in response["answer"]


async def test_a_run_in_which_nothing_succeeds_has_failed(pipeline: Pipeline) -> None:
    """Failure never looks like success; each call says for itself why, and whether a later try may work."""
    response = await pipeline.ask("all break", mode="results")
    assert response["status"] == "failed"
    assert [one["error"]["retryable"] for one in response["results"]] == [False, True]
    assert response["error"] == response["results"][0]["error"]


async def test_a_call_of_an_unknown_tool_fails_and_nothing_else(pipeline: Pipeline) -> None:
    """It is not sent anywhere; the other call is."""
    response = await pipeline.ask("unknown")
    assert response["status"] == "partial"
    assert [one["status"] for one in response["results"]] == ["failed", "succeeded"]
    assert response["results"][0]["error"]["code"] == "unknown_tool"
    assert "echo" in response["results"][0]["error"]["message"]


async def test_a_call_with_wrong_arguments_is_never_run(pipeline: Pipeline) -> None:
    """Arguments are checked before anything starts, and 5 is not "5"."""
    EXECUTED.clear()
    response = await pipeline.ask("wrong type")
    assert response["status"] == "partial"
    assert response["results"][0]["error"]["code"] == "invalid_arguments"
    assert response["results"][0]["attempts"] == 0
    assert EXECUTED == ["kept"]


async def test_a_result_that_is_too_large_is_a_failure_that_says_so(pipeline: Pipeline) -> None:
    """It would not fit into the records it has to travel in."""
    response = await pipeline.ask("too much", mode="results")
    assert response["status"] == "failed"
    assert response["results"][0]["error"]["code"] == "result_too_large"


async def test_a_model_that_fails_ends_the_run_with_its_reason(pipeline: Pipeline) -> None:
    """Here the script has nothing to say to the prompt."""
    response = await pipeline.ask("unheard of")
    assert response["status"] == "failed"
    assert response["error"]["code"] == "model_failed"
    assert response["results"] == []


@pytest.mark.parametrize(
    ("fields", "code"), [({"model": "nobody:x"}, "model_unknown"), ({"tools": ["teleport"]}, "unknown_tool")]
)
async def test_what_is_not_installed_cannot_be_asked_for(
    pipeline: Pipeline, fields: dict[str, object], code: str
) -> None:
    """An unknown model or an unknown tool in the allowlist ends the run at once, with the name in the message."""
    response = await pipeline.ask("say", **fields)
    assert response["status"] == "failed"
    assert response["error"]["code"] == code


async def test_a_tool_outside_the_allowlist_is_not_called(pipeline: Pipeline) -> None:
    """The request's list of tools is a limit on the model, not a hint to it."""
    EXECUTED.clear()
    response = await pipeline.ask("say", mode="results", tools=["flood"])
    assert response["status"] == "failed"
    assert response["results"][0]["error"]["code"] == "unknown_tool"
    assert not EXECUTED


async def test_a_model_that_never_stops_calling_is_stopped(pipeline: Pipeline) -> None:
    """After `max_turns` the run ends with what there is."""
    response = await pipeline.ask("endless", max_turns=2)
    assert response["status"] == "partial"
    assert response["error"]["code"] == "max_turns_reached"
    assert [one["result"] for one in response["results"]] == ["more", "and more"]
