"""`orchestrator dev`: a broker, the topics, one process of each role and a first prompt, with nothing installed."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console

from agents.tools.registry import load_registry
from schemas.request import RequestSubmitted
from streams.ask import ask
from streams.installation import topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.clients import client_options
from streams.kafka.topic_plan import plan
from streams.kept_broker import KeptBroker
from streams.role import first_of, stop_signals
from streams.settings import Settings
from streams.supervisor import Supervisor

ROLES = ("planner", "tools", "aggregator")
DRAIN_SECONDS = "3"
"""What the roles get to finish their work when Ctrl-C has to be over within ten seconds."""

EXAMPLE_PROMPT = (
    "Plan my day: what time is it in Tokyo and New York, what is 17*23, "
    "what do the docs say about exactly once, and ask three slow services"
)


async def dev(settings: Settings, prompt: str, console: Console, *, once: bool) -> int:
    """Start everything, ask `prompt`, show the run; then stay up until told to stop, unless `once`.

    Returns the exit status. With `once` that of the run, 0 only for `completed`; else 0 once everything was up. Stopped
    before that it is the signal's, 130 for Ctrl-C.
    """
    session = _Session(settings, console)
    with stop_signals() as asked:
        stop = asyncio.create_task(asked.wait(), name="stop asked")

        def say_so(_: object) -> None:
            console.print("stopping ...")

        stop.add_done_callback(say_so)
        try:
            # What was started is ended here, out of reach of the signal: a second Ctrl-C must not leave half of it.
            async with AsyncExitStack() as started:
                if await first_of(stop, session.run(started, prompt, once=once)):
                    stop.cancel()
        finally:
            stop.remove_done_callback(say_so)
            stop.cancel()
        return asked.status if session.status is None else session.status


class _Session:
    """One life of `orchestrator dev`. `status` is its exit status as soon as that is decided."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self.status: int | None = None
        self._settings = settings
        self._console = console

    async def run(self, started: AsyncExitStack, prompt: str, *, once: bool) -> None:
        """Start everything and ask the first prompt; return then with `once`, else never. What runs is in `started`."""
        broker = None if self._settings.bootstrap_servers else KeptBroker(self._settings.data_dir, self._console)
        settings = self._settings
        if broker is None:
            self._console.print(f"kafka: using {settings.bootstrap_servers}")
        else:
            started.push_async_callback(broker.stop)
            settings = settings.model_copy(update={"bootstrap_servers": await broker.start()})
        await self._make_topics(settings)
        await self._start_roles(settings, started)
        response = await ask(settings, RequestSubmitted(prompt=prompt), self._console)
        if once:
            self.status = 0 if response.status == "completed" else 1
            return
        self.status = 0
        self._console.print(_invitation(settings), markup=False, soft_wrap=True)
        await (asyncio.Event().wait() if broker is None else broker.wait())

    async def _make_topics(self, settings: Settings) -> None:
        options = client_options(settings)
        specs = topic_specs(settings, load_registry(settings.tools))
        changes = plan(specs, await observe(options, [spec.name for spec in specs]))
        await apply_plan(options, changes)
        created = len(changes.creates)
        self._console.print(f"topics: {created} created, {len(specs) - created} were there")

    async def _start_roles(self, settings: Settings, started: AsyncExitStack) -> None:
        supervisor = Supervisor(settings.data_dir / "logs", _environment(settings))
        started.push_async_callback(supervisor.stop)
        start = time.monotonic()
        await supervisor.start(ROLES)
        self._console.print(f"processes: {', '.join(ROLES)} are ready after {time.monotonic() - start:.1f} s\n")


def _environment(settings: Settings) -> dict[str, str]:
    drain = {} if "drain_seconds" in settings.model_fields_set else {"ORCHESTRATOR_DRAIN_SECONDS": DRAIN_SECONDS}
    return {"KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers or "", **drain}


def _invitation(settings: Settings) -> str:
    """Say how to go on, from any folder and with any Kafka client."""
    prefix = settings.topic_prefix
    variables = {"KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers or "", "ORCHESTRATOR_TOPIC_PREFIX": prefix}
    words = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if value]
    command = " ".join([*words, shlex.quote(str(Path(sys.executable).parent / "orchestrator"))])
    secured = "" if settings.security_protocol == "PLAINTEXT" else ", with this one's KAFKA_SECURITY/SASL/SSL variables"
    return f"""
Everything stays up; Ctrl-C stops it. Logs are in {settings.data_dir.resolve() / "logs"}.
Send more from another terminal{secured}:

    {command} ask "wait 300 ms five times"
    {command} tail responses

or with any Kafka client, in three lines (here aiokafka):

    producer = AIOKafkaProducer(bootstrap_servers="{settings.bootstrap_servers}")
    await producer.start()
    await producer.send_and_wait("{prefix}requests", b'{{"prompt": "calculate 6*7"}}')
"""
