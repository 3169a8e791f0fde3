"""The worker of docs/wire-contract.md, as it is printed there, serves a tool beside this project's own processes."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from agents.tools.tool import Tool
from streams.role import Role
from tests.support.pipeline import Pipeline, call, script

PAGE = (Path(__file__).parents[2] / "docs" / "wire-contract.md").read_text(encoding="utf-8")
WORKER, DECLARATION = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def declared_tool() -> Tool:
    """Run the page's declaration and return the tool it makes."""
    namespace: dict[str, object] = {}
    exec(DECLARATION, namespace)  # noqa: S102 - the project's own page
    tool = namespace["word_count"]
    assert isinstance(tool, Tool)
    return tool


async def test_the_documented_worker_answers_calls_that_no_process_of_ours_can(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Without any of our code it takes the calls of its tool, and says how each ended; the run has its answer."""
    calls = [call("word_count", text="one two three"), call("word_count")]
    text = script(("count", [{"calls": calls}, {"answer": "{results[0]} words"}]))
    file = tmp_path / "worker.py"
    file.write_text(WORKER, encoding="utf-8")
    async with Pipeline(kafka, topic_prefix, text, [declared_tool()]) as pipeline:
        roles: tuple[Role, ...] = (pipeline.new_planner(), pipeline.new_aggregator())
        await pipeline.start(*roles)
        topic = pipeline.routes.tool_topic("word_count")
        worker = await asyncio.create_subprocess_exec(sys.executable, "-P", file, kafka, topic, cwd=tmp_path)
        try:
            response = await pipeline.ask("count")
        finally:
            worker.terminate()
            await worker.wait()
    assert [result["status"] for result in response["results"]] == ["succeeded", "failed"]
    assert response["results"][0]["result"] == 3
    assert response["results"][1]["error"] == {"code": "tool_failed", "message": "KeyError('text')", "retryable": False}
    assert (response["status"], response["answer"]) == ("partial", "3 words")
    assert len(pipeline.outcomes()) == 2
