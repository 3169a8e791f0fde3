"""The commands against a real broker, each as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agents.tools.tool import tool
from streams.settings import Settings
from tests.support.pipeline import Pipeline, call, running, script
from tests.support.remote_tool import remote
from tests.support.role_process import environment_of, role_process, run_command
from tests.support.switchboard import Switchboard

SCRIPT = script(
    ("^say$", [{"calls": [call("echo", text="hello")]}, {"answer": "It said {results[0]}."}]),
    ("^hang$", [{"calls": [call("hang")]}, {"answer": "never"}]),
)
REMOTE = script((r"^remote (?P<text>\w+)$", [{"calls": [call("remote", text="{text}")]}, {"answer": "{results[0]}"}]))


@tool
def echo(text: str) -> str:
    """Return the text."""
    return text


@tool(timeout_ms=60_000)
async def hang() -> None:
    """Wait for nothing."""
    await asyncio.Event().wait()


async def test_ask_shows_the_run_and_its_status_is_that_of_the_response(kafka: str, topic_prefix: str) -> None:
    """0 for `completed` and 1 for anything else; --json prints the document alone; --timeout is the deadline."""
    async with running(kafka, topic_prefix, SCRIPT, [echo, hang]) as pipeline:
        environment = environment_of(pipeline.settings)
        plain, as_json, failed, late = await asyncio.gather(
            run_command(environment, "ask", "say"),
            run_command(environment, "ask", "say", "--json", "--mode", "results"),
            run_command(environment, "ask", "unheard of"),
            run_command(environment, "ask", "hang", "--timeout", "0.5", "--json"),
        )
        assert plain[0] == 0, plain[2]
        assert "It said hello." in plain[1]
        assert "echo" in plain[1]

        document = json.loads(as_json[1])
        assert as_json[0] == 0, as_json[2]
        assert document == pipeline.responses()[document["correlation_id"]][0]
        assert (document["status"], document["results"][0]["result"]) == ("completed", "hello")

        assert failed[0] == 1
        assert "model_failed" in failed[1]

        document = json.loads(late[1])
        assert late[0] == 1
        assert document["status"] == "timed_out"
        assert 500 <= document["duration_ms"] < 1500


async def test_tail_prints_what_there_is_and_ends_after_the_count(kafka: str, topic_prefix: str) -> None:
    """One line of JSON for each record, the value decoded."""
    async with running(kafka, topic_prefix, SCRIPT, [echo, hang]) as pipeline:
        await pipeline.submit({"prompt": "say"}, b"tailed")
        response = await pipeline.response("tailed")
        status, out, err = await run_command(
            environment_of(pipeline.settings), "tail", "responses", "--from-beginning", "--count", "1"
        )
        assert status == 0, err
        (line,) = out.splitlines()
        assert json.loads(line)["key"] == "tailed"
        assert json.loads(line)["value"] == response


async def test_tail_of_a_topic_that_is_not_there_says_so(kafka: str, topic_prefix: str) -> None:
    """Status 2, the name, and what to do."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix)
    status, _, err = await run_command(environment_of(settings), "tail", "responses")
    assert status == 2
    assert f"{topic_prefix}responses" in err
    assert "orchestrator topics apply" in err


async def test_topics_are_planned_applied_and_checked(kafka: str, topic_prefix: str) -> None:
    """The plan changes nothing, the check fails until it is applied, and applying again finds nothing to do."""
    environment = environment_of(Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix))
    planned, unchecked = await asyncio.gather(
        run_command(environment, "topics", "plan"), run_command(environment, "topics", "check")
    )
    assert planned[0] == 0, planned[2]
    assert f"+ {topic_prefix}requests" in planned[1]
    assert unchecked[0] == 1
    applied = await run_command(environment, "topics", "apply")
    assert applied[0] == 0, applied[2]
    again, checked = await asyncio.gather(
        run_command(environment, "topics", "apply"), run_command(environment, "topics", "check")
    )
    assert (again[0], checked[0]) == (0, 0)
    assert "nothing to do" in again[1]


async def test_every_role_ends_in_order_on_sigterm(kafka: str, topic_prefix: str, tmp_path: Path) -> None:
    """Within ten seconds and with status 0, also in the middle of a model turn and of a call that does not end."""
    path = tmp_path / "script.yaml"
    path.write_text(REMOTE)
    more = {
        "ORCHESTRATOR_SCRIPT": str(path),
        "ORCHESTRATOR_TOOLS": "tests.support.remote_tool",
        "ORCHESTRATOR_DRAIN_SECONDS": "2",
    }
    async with (
        Switchboard(tmp_path / "s") as switchboard,
        Pipeline(kafka, topic_prefix, REMOTE, [remote]) as pipeline,
        AsyncExitStack() as stack,
    ):
        roles = (role_process(pipeline, role, **more) for role in ("planner", "tools", "aggregator"))
        processes = await asyncio.gather(*(stack.enter_async_context(role) for role in roles))
        switchboard.on_hold = {"stuck"}
        await pipeline.submit({"prompt": "remote free"}, b"free")
        assert (await pipeline.response("free"))["status"] == "completed"
        await pipeline.submit({"prompt": "remote stuck"}, b"stuck")
        await switchboard.until_began("stuck")
        for process in processes:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await asyncio.gather(*(process.wait() for process in processes)) == [0, 0, 0]


@pytest.mark.parametrize("arguments", [("tools", "--toolset", "nobody's"), ("ask", "")])
async def test_a_command_that_makes_no_sense_is_refused_in_one_line(
    kafka: str, topic_prefix: str, arguments: tuple[str, ...]
) -> None:
    """An unknown toolset, an empty prompt: status 2 and no traceback."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix)
    status, _, err = await run_command(environment_of(settings), *arguments)
    assert "Traceback" not in err
    assert status == 2
