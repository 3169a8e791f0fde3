"""The subcommands of `orchestrator`."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console

from agents.tools.registry import load_registry
from schemas.codec import describe, encode
from schemas.errors import OrchestratorError
from schemas.request import RequestSubmitted
from schemas.run import RunFinished
from schemas.topics import TOOL_TOPIC_PREFIX
from streams import topology
from streams.ask import ask as ask_and_print
from streams.ask import await_response
from streams.cli_topics import topics
from streams.dev import EXAMPLE_PROMPT
from streams.dev import dev as run_dev
from streams.event_loop import run
from streams.installation import client_settings, require_topics
from streams.kafka.clients import client_options
from streams.kafka.embedded import serve
from streams.logs import set_up_logs
from streams.plain_text import printable_json
from streams.role import Role, announcement_of, run_role
from streams.routes import Routes
from streams.runs.aggregator import Aggregator
from streams.settings import Settings, load_settings
from streams.tail import tail as follow_topic

app = typer.Typer(
    help="Async Toolformer Orchestrator: prompts in, parallel tool calls, answers out, over Kafka.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(topics, name="topics")


class RequestInvalid(OrchestratorError):
    """This cannot be asked: {reason}."""


class Mode(StrEnum):
    """What a request asks for."""

    ANSWER = "answer"
    RESULTS = "results"


@app.command()
def ask(
    prompt: Annotated[str, typer.Argument(help="What to do.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the response document and nothing else.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Deadline in seconds.", min=0.001)] = None,
    model: Annotated[str | None, typer.Option(help="Model, provider:name.")] = None,
    mode: Annotated[Mode, typer.Option(help="The model's answer, or one turn's results.")] = Mode.ANSWER,
) -> None:
    """Send a prompt, show progress while waiting, print the answer. Exit status 0 only for `completed`."""
    settings = client_settings()
    timeout_ms = None if timeout is None else max(1, round(timeout * 1000))
    try:
        request = RequestSubmitted(prompt=prompt, model=model, mode=mode.value, timeout_ms=timeout_ms)
    except ValidationError as error:
        raise RequestInvalid(reason=describe(error)) from None
    if as_json:
        response = run(await_response(settings, request, Console(stderr=True, highlight=False)))
        sys.stdout.write(_document(response) + "\n")
    else:
        response = run(ask_and_print(settings, request, Console(highlight=False)))
    raise typer.Exit(0 if response.status == "completed" else 1)


@app.command()
def tail(
    topic: Annotated[str, typer.Argument(help="Topic, without prefix: requests, run-events, responses, ...")],
    from_beginning: Annotated[bool, typer.Option(help="Begin with the oldest record.")] = False,
    count: Annotated[int | None, typer.Option(help="Stop after so many records.", min=1)] = None,
) -> None:
    """Follow a topic; every record is one line of JSON."""
    settings = client_settings()
    name = Routes(settings.topic_prefix).topic(topic)
    run(follow_topic(client_options(settings), name, from_beginning=from_beginning, count=count))


@app.command()
def dev(
    prompt: Annotated[str, typer.Option(help="The first prompt.")] = EXAMPLE_PROMPT,
    once: Annotated[bool, typer.Option("--once", help="Stop after the first prompt.")] = False,
) -> None:
    """Start a broker (unless KAFKA_BOOTSTRAP_SERVERS names one), the topics and one process of each role.

    Exit status with --once: 0 only for `completed`. Interrupted before it is up: 130 for Ctrl-C; afterwards 0.
    """
    settings = load_settings()
    set_up_logs("WARNING", "dev")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what goes wrong is told once, by the command
    raise typer.Exit(run(run_dev(settings, prompt, Console(highlight=False), once=once)))


@app.command()
def kafka(
    port: Annotated[
        int | None, typer.Option(help="Port on 127.0.0.1; a free one when not given.", min=1, max=65535)
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder that keeps its data.")] = Path(".orchestrator/kafka"),
) -> None:
    """Run the embedded broker in the foreground until SIGTERM."""
    set_up_logs("INFO", "kafka")
    raise typer.Exit(run(serve(data_dir, port)))


@app.command()
def planner() -> None:
    """Run a planner: asks the model, publishes calls and plans."""
    settings = load_settings()
    set_up_logs(settings.log_level, "planner")
    from streams.assembly import new_planner  # noqa: PLC0415 - Faust takes a second to import: only who needs it pays

    run(_run_role(settings, topology.PLANNER, new_planner(settings)))


@app.command()
def tools(toolset: Annotated[str, typer.Option(help="Whose tools to run.")] = "default") -> None:
    """Run the tools of a toolset."""
    settings = load_settings()
    set_up_logs(settings.log_level, "tools")
    from streams.assembly import new_tools  # noqa: PLC0415 - Faust takes a second to import: only who needs it pays

    run(_run_role(settings, topology.TOOLS, new_tools(settings, toolset), toolset))


@app.command()
def aggregator() -> None:
    """Run an aggregator: owns partitions of the runs table, writes responses."""
    settings = load_settings()
    set_up_logs(settings.log_level, "aggregator")
    run(_run_role(settings, topology.AGGREGATOR, Aggregator(settings)))


async def _run_role(settings: Settings, role: topology.Role, process: Role, toolset: str = "") -> None:
    await require_topics(settings, role)
    await run_role(process, _announcement(settings, role, toolset), settings.drain_seconds)


def _announcement(settings: Settings, role: topology.Role, toolset: str = "") -> str:
    routes = Routes(settings.topic_prefix)
    group = routes.group(role, toolset=toolset)
    reads = ", ".join(_source(settings, routes, name, toolset) for name in role.reads)
    return f"{announcement_of(role.name)}: group {group} reads {reads} at {settings.bootstrap_servers}"


def _source(settings: Settings, routes: Routes, name: str, toolset: str) -> str:
    if name != topology.TOOL_CALLS:
        return routes.topic(name)
    count = len(load_registry(settings.tools).toolset(toolset))
    return f"{routes.prefix}{TOOL_TOPIC_PREFIX}* ({count} tool{'' if count == 1 else 's'})"


def _document(response: RunFinished) -> str:
    return printable_json(orjson.dumps(orjson.loads(encode(response)), option=orjson.OPT_INDENT_2).decode())
