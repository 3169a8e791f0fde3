"""`orchestrator dev`: a broker, the topics, one process of each role and a first prompt, with nothing installed."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from agents.tools.registry import load_registry
from schemas.request import RequestSubmitted
from streams.ask import ask
from streams.installation import ADDRESS_FILE, topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.clients import client_options
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topic_plan import plan
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


async def dev(settings: Settings, prompt: str, console: Console, *, once: bool) -> None:
    """Start everything, ask `prompt`, show the run; then stay up until told to stop, unless `once`."""
    with stop_signals() as asked:
        stop = asyncio.create_task(asked.wait(), name="stop asked")
        try:
            async with _broker(settings, console) as servers:
                here = settings.model_copy(update={"bootstrap_servers": servers})
                supervisor = Supervisor(settings.data_dir / "logs", _environment(settings, servers))
                try:
                    await first_of(stop, _run(here, supervisor, prompt, console, once=once))
                    if not once:
                        await stop
                finally:
                    console.print("stopping ...")
                    await supervisor.stop()
        finally:
            stop.cancel()


async def _run(settings: Settings, supervisor: Supervisor, prompt: str, console: Console, *, once: bool) -> None:
    options = client_options(settings)
    registry = load_registry(settings.tools)
    specs = topic_specs(settings, registry)
    changes = plan(specs, await observe(options, [spec.name for spec in specs]))
    await apply_plan(options, changes)
    console.print(f"topics: {len(changes.creates)} created, {len(specs) - len(changes.creates)} were there")
    start = time.monotonic()
    await supervisor.start(ROLES)
    console.print(f"processes: {', '.join(ROLES)} are ready after {time.monotonic() - start:.1f} s\n")
    await ask(settings, RequestSubmitted(prompt=prompt), console)
    if not once:
        console.print(_invitation(settings), markup=False, soft_wrap=True)


@asynccontextmanager
async def _broker(settings: Settings, console: Console) -> AsyncIterator[str]:
    """Provide the broker that KAFKA_BOOTSTRAP_SERVERS names, or start the embedded one."""
    if settings.bootstrap_servers is not None:
        console.print(f"kafka: using {settings.bootstrap_servers}")
        yield settings.bootstrap_servers
        return
    console.print("kafka: starting the embedded broker (the first time it is fetched, about 45 MB) ...")
    start = time.monotonic()
    address = settings.data_dir / ADDRESS_FILE
    async with EmbeddedBroker(settings.data_dir / "kafka") as broker:
        console.print(f"kafka: {broker.bootstrap_servers} answers after {time.monotonic() - start:.1f} s")
        address.write_text(broker.bootstrap_servers)
        keeper = asyncio.create_task(_keep(broker, console), name="keep broker")
        try:
            yield broker.bootstrap_servers
        finally:
            keeper.cancel()
            address.unlink(missing_ok=True)


async def _keep(broker: EmbeddedBroker, console: Console) -> None:
    """Start the broker again when it dies. It keeps its port, so that everyone finds it again."""
    while True:
        code = await broker.wait()
        console.print(f"kafka: the broker ended with status {code} and is started again (log: {broker.log_file})")
        await broker.start()


def _environment(settings: Settings, servers: str) -> dict[str, str]:
    drain = {} if "drain_seconds" in settings.model_fields_set else {"ORCHESTRATOR_DRAIN_SECONDS": DRAIN_SECONDS}
    return {"KAFKA_BOOTSTRAP_SERVERS": servers, **drain}


def _invitation(settings: Settings) -> str:
    command = shlex.quote(str(Path(sys.executable).parent / "orchestrator"))
    prefix = settings.topic_prefix
    return f"""
Everything stays up; Ctrl-C stops it. Logs are in {settings.data_dir / "logs"}. Send more from another terminal:

    {command} ask "wait 300 ms five times"
    {command} tail responses

or with any Kafka client, in three lines (here aiokafka):

    producer = AIOKafkaProducer(bootstrap_servers="{settings.bootstrap_servers}")
    await producer.start()
    await producer.send_and_wait("{prefix}requests", b'{{"prompt": "calculate 6*7"}}')
"""
