"""Promises of the supervisor, with real processes: what dies is started again, and none outlives it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import streams.child
import streams.restarts
from streams.child import RoleDidNotStart
from streams.supervisor import Supervisor

ROLE = """
import os, pathlib, signal, socket, sys
role = sys.argv[1]
starts = pathlib.Path(role + ".starts")
starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
if role == "broken" or (role == "shaky" and len(starts.read_text()) == 2):
    print("no configuration", file=sys.stderr)
    raise SystemExit(3)
if role == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as line:
    line.connect("line")
    line.sendall(f"{role} {os.getpid()}\\n".encode())
    print(role, "is ready", flush=True)
    if role == "stubborn":
        signal.pause()
    sys.stdin.read()
"""
"""A role in few lines: tells its process number over a socket that closes when it ends, and ends with its input."""


class Births:
    """The processes that were started, told by themselves."""

    def __init__(self) -> None:
        """Start with none."""
        self._told: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._open: set[asyncio.Task[None]] = set()

    async def next(self) -> tuple[str, int]:
        """Wait for the next process; return its role and number."""
        async with asyncio.timeout(20):
            return await self._told.get()

    async def all_ended(self) -> None:
        """Wait until every process has closed its line, as it does when it ends."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self._open)

    async def listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Note a process and when it is gone."""
        role, number = (await reader.readline()).decode().split()
        self._told.put_nowait((role, int(number)))
        self._open.add(asyncio.create_task(self._follow(reader, writer)))

    @staticmethod
    async def _follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()


@pytest.fixture
async def births(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Births]:
    """Put the small role where `python -m streams.cli` finds it first, and listen."""
    package = tmp_path / "streams"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(ROLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streams.restarts, "RESTART_SECONDS", (0.0,))
    told = Births()
    server = await asyncio.start_unix_server(told.listen, "line")
    yield told
    server.close()


@asynccontextmanager
async def supervised(folder: Path, *roles: str) -> AsyncIterator[Supervisor]:
    """Start roles, and end them whatever happens."""
    supervisor = Supervisor(folder / "logs", {})
    try:
        await supervisor.start(roles)
        yield supervisor
    finally:
        await supervisor.stop()


def is_alive(number: int) -> bool:
    """Tell whether a process is there; one of ours that has ended is gone, because the supervisor waits for it."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


async def test_every_role_is_a_process_of_its_own_and_none_is_left(tmp_path: Path, births: Births) -> None:
    """They are ready when `start` returns, and gone when `stop` does."""
    async with supervised(tmp_path, "one", "two") as supervisor:
        started = dict([await births.next(), await births.next()])
        assert supervisor.pids() == started
        assert set(started) == {"one", "two"}
        assert all(is_alive(number) for number in started.values())
        assert all(os.getsid(number) == number for number in started.values())
    await births.all_ended()
    assert not any(is_alive(number) for number in started.values())
    assert supervisor.pids() == {}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_that_dies_is_started_again(tmp_path: Path, births: Births, number: signal.Signals) -> None:
    """However it died; the others are left alone."""
    async with supervised(tmp_path, "one", "two") as supervisor:
        first = dict([await births.next(), await births.next()])
        os.kill(first["one"], number)
        role, again = await births.next()
        assert role == "one"
        assert again != first["one"]
        assert supervisor.pids() == {**first, "one": again}
    await births.all_ended()
    assert not is_alive(again)


async def test_a_process_that_does_not_come_up_again_is_tried_once_more(tmp_path: Path, births: Births) -> None:
    """A broker that is away for a moment must not take a role away for good."""
    async with supervised(tmp_path, "shaky") as supervisor:
        _, first = await births.next()
        os.kill(first, signal.SIGKILL)
        _, third = await births.next()
        assert supervisor.pids() == {"shaky": third}
        assert (tmp_path / "shaky.starts").read_text() == "xxx"


async def test_a_role_that_cannot_start_is_one_clear_error_and_leaves_no_process(
    tmp_path: Path, births: Births
) -> None:
    """With the end of its log, so that nobody has to look for it."""
    with pytest.raises(RoleDidNotStart) as error:
        async with supervised(tmp_path, "one", "broken"):
            pytest.fail("it must not come so far")
    text = str(error.value)
    assert "The broken process did not become ready: it ended with status 3" in text
    assert "no configuration" in text
    assert str(tmp_path / "logs" / "broken.log") in text
    await births.all_ended()


async def test_a_role_that_says_nothing_is_given_up(
    tmp_path: Path, births: Births, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ended, whatever it was doing."""
    del births
    (tmp_path / "streams" / "cli.py").write_text("import sys; sys.stdin.read()")
    monkeypatch.setattr(streams.child, "READY_SECONDS", 0.2)
    supervisor = Supervisor(tmp_path / "logs", {})
    with pytest.raises(RoleDidNotStart, match="it was not ready after 0 s"):
        await supervisor.start(["mute"])
    (number,) = supervisor.pids().values()
    await supervisor.stop()
    assert not is_alive(number)


async def test_a_role_that_ignores_sigterm_is_killed(
    tmp_path: Path, births: Births, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was asked."""
    monkeypatch.setattr(streams.child, "END_SECONDS", 0.2)
    async with supervised(tmp_path, "stubborn"):
        _, number = await births.next()
    await births.all_ended()
    assert not is_alive(number)


async def test_the_log_of_a_role_is_kept_over_its_restarts(tmp_path: Path, births: Births) -> None:
    """What it said before it died is the first thing to read."""
    async with supervised(tmp_path, "shaky"):
        _, first = await births.next()
        os.kill(first, signal.SIGKILL)
        await births.next()
    # What a role prints and what it logs come by different ways: only their order is sure, not where lines end.
    assert re.match(r"shaky is ready\s*no configuration", (tmp_path / "logs" / "shaky.log").read_text())
