"""Promises of a child, with real processes: what it prints never stops it, and only its own word makes it ready."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import streams.child
from streams.child import Child, RoleDidNotStart

NOISY = """
import sys
print("loading a model without a line feed ...", end="", flush=True)
print("another is ready", "x" * 100_000, flush=True)
if sys.argv[1] == "mute":
    sys.stdin.read()
print(sys.argv[1], "is ready: and more", flush=True)
for line in sys.stdin:
    print("y" * 1_000_000, flush=True)
    print("done", file=sys.stderr, flush=True)
"""
INHERITED = """
import subprocess, sys
print(sys.argv[1], "is ready", flush=True)
subprocess.Popen([sys.executable, "-c", "print('orphan', flush=True); open('until').read()"])
sys.stdin.read()
"""


Write = Callable[[str], object]


@pytest.fixture
def write_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Put code where `python -m streams.cli` finds it first."""
    package = tmp_path / "streams"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    return (package / "cli.py").write_text


async def until_logged(log: Path, words: str) -> None:
    """Wait until the log has these words."""
    async with asyncio.timeout(20):
        while words not in log.read_text():  # noqa: ASYNC110, ASYNC240 - nobody tells of a line in a file
            await asyncio.sleep(0.01)


async def test_a_role_that_prints_a_lot_goes_on_and_its_log_has_it(tmp_path: Path, write_role: Write) -> None:
    """More than a pipe holds, with and without line feeds, before it is ready and after."""
    write_role(NOISY)
    log = tmp_path / "tools.log"
    child = Child("tools", log)
    try:
        await child.launch(os.environ)
        assert "another is ready" in log.read_text()
        assert child.process is not None
        assert child.process.stdin is not None
        child.process.stdin.write(b"go\n")
        await until_logged(log, "done")
        async with asyncio.timeout(20):
            while log.read_text().count("y") < 1_000_000:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    finally:
        await child.end()
    assert not child.is_running


async def test_whatever_else_is_printed_does_not_make_a_role_ready(
    tmp_path: Path, write_role: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that prints when it is imported is no announcement."""
    monkeypatch.setattr(streams.child, "READY_SECONDS", 1.0)
    write_role(NOISY)
    child = Child("mute", tmp_path / "mute.log")
    try:
        with pytest.raises(RoleDidNotStart, match="it was not ready after 1 s"):
            await child.launch(os.environ)
    finally:
        await child.end()


async def test_a_start_that_is_interrupted_can_be_ended(tmp_path: Path, write_role: Write) -> None:
    """Ctrl-C may come at the very moment in which the process is made."""
    write_role("import sys; sys.stdin.read()")
    child = Child("tools", tmp_path / "tools.log")
    launch = asyncio.create_task(child.launch(os.environ))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    launch.cancel()
    await asyncio.gather(launch, return_exceptions=True)
    assert launch.cancelled()
    await child.end()
    assert not child.is_running


async def test_output_inherited_by_another_process_does_not_hold_up_the_end(
    tmp_path: Path, write_role: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool may have started something that lives on with the same standard output."""
    monkeypatch.setattr(streams.child, "LAST_WORDS_SECONDS", 0.1)
    write_role(INHERITED)
    os.mkfifo("until")
    log = tmp_path / "tools.log"
    child = Child("tools", log)
    await child.launch(os.environ)
    await until_logged(log, "orphan")
    async with asyncio.timeout(10):
        await child.end()
    assert not child.is_running
    with open("until", "w"):  # noqa: ASYNC230, PTH123 - lets the other process end
        pass
