"""`orchestrator dev` with its own embedded broker: it works, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streams.settings import Settings
from tests.support.processes import processes_with
from tests.support.role_process import command, environment_of, run_command

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No broker is named, and everything is kept in a folder of the test."""
    return environment_of(Settings(bootstrap_servers=None), ORCHESTRATOR_DATA_DIR=str(tmp_path / "data"))


@asynccontextmanager
async def dev(environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `orchestrator dev` until it has answered its first prompt."""
    async with command(environment, "dev", "--prompt", "calculate 6*7") as process:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while line := await process.stdout.readline():
                if line.startswith(b"Everything stays up"):
                    break
        assert line, "it ended before it was up"
        yield process


async def test_dev_once_runs_one_prompt_and_leaves_no_process(environment: dict[str, str], tmp_path: Path) -> None:
    """A broker, topics, three roles, an answer, and all of it is gone when the command ends with status 0."""
    status, out, err = await run_command(environment, "dev", "--once", "--prompt", "calculate 6*7")
    assert status == 0, err
    assert "6*7 = 42" in out
    assert not processes_with(str(tmp_path / "data"))


async def test_a_running_dev_is_found_by_ask_and_ends_on_ctrl_c(environment: dict[str, str], tmp_path: Path) -> None:
    """Another terminal needs no settings; SIGINT ends everything within ten seconds."""
    async with dev(environment) as process:
        assert len(processes_with(str(tmp_path / "data"))) >= 5, "dev, java and three roles"
        status, out, err = await run_command(environment, "ask", "calculate 2+3")
        assert status == 0, err
        assert "2+3 = 5" in out
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        await process.wait()
        assert time.monotonic() - start < 10
        assert process.returncode in {0, 130}
        assert not processes_with(str(tmp_path / "data"))
