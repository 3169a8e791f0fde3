"""Commands of the project as processes of their own, to be killed without mercy."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from streams.settings import Settings
from tests.support.pipeline import Pipeline

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 30.0


def environment_of(settings: Settings, **more: str) -> dict[str, str]:
    """Return this process's environment, but with no other settings than those that lead to the broker and topics."""
    foreign = {name: value for name, value in os.environ.items() if name not in Settings.environment_names()}
    here = {"ORCHESTRATOR_TOPIC_PREFIX": settings.topic_prefix}
    if settings.bootstrap_servers is not None:
        here["KAFKA_BOOTSTRAP_SERVERS"] = settings.bootstrap_servers
    return foreign | here | more


@asynccontextmanager
async def command(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `orchestrator` with these arguments; it is killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streams.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        kill(process)
        await process.wait()


def kill(process: asyncio.subprocess.Process) -> None:
    """Send SIGKILL to a process that may have ended.

    Not by its own method: that one looks whether the process has ended, and so takes its status from asyncio.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@asynccontextmanager
async def role_process(pipeline: Pipeline, role: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run one role on the pipeline's topics and wait until it says that it is ready."""
    async with command(environment_of(pipeline.settings, **more), role) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(READY_SECONDS):
            announcement = (await process.stdout.readline()).decode()
        if f"{role} is ready" not in announcement:
            kill(process)
            message = (await process.stderr.read()).decode()
            raise AssertionError(message)
        # Whoever writes its log into a full pipe stands still, so it has to be read.
        log = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            kill(process)
            await log


async def run_command(environment: Mapping[str, str], *arguments: str, seconds: float = 60.0) -> tuple[int, str, str]:
    """Run `orchestrator` with these arguments to its end; return exit status, standard output and standard error."""
    async with command(environment, *arguments) as process, asyncio.timeout(seconds):
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()
