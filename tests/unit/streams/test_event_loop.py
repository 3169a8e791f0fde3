"""Promises of a command's event loop: it gives the result, and it ends whatever is left on it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from streams.event_loop import run

STUBBORN = """
    import asyncio
    from streams.event_loop import run

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                print("no", flush=True)

    async def work():
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        {end}

    run(work())
"""


def command(end: str) -> subprocess.CompletedProcess[str]:
    """Run a command that leaves a task behind which cannot be cancelled."""
    program = textwrap.dedent(STUBBORN).format(end=end)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)


def test_the_work_gives_its_result_or_its_error() -> None:
    """As from asyncio.run."""

    async def work(*, fails: bool) -> str:
        if fails:
            raise OSError("gone")  # noqa: EM101 - a stand-in
        return "done"

    assert run(work(fails=False)) == "done"
    with pytest.raises(OSError, match="gone"):
        run(work(fails=True))


def test_a_task_that_cannot_be_cancelled_does_not_keep_the_process_alive() -> None:
    """Work that was done ends with the status it returned, soon after; 0 when it returned none."""
    ended = command("return 130")
    assert (ended.returncode, ended.stdout) == (130, "no\n")
    assert command("return None").returncode == 0
    assert "left behind" in ended.stderr


def test_nor_does_it_hide_that_the_work_failed() -> None:
    """The status says so, and the reason is told."""
    ended = command("raise OSError('the broker is gone')")
    assert ended.returncode == 1
    assert "the broker is gone" in ended.stderr
