"""Which processes there are, read from /proc."""

from __future__ import annotations

import asyncio
from pathlib import Path

POLL_SECONDS = 0.05


def processes_with(mark: str) -> dict[int, str]:
    """Return number and command line of every living process that has `mark` in its environment or command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # it has ended meanwhile, or is not ours
        # A zombie has neither, so it is not found: it has ended.
        if mark.encode() in command + environment:
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


async def until_gone(mark: str, seconds: float) -> None:
    """Wait until no process has `mark`; fail with those that are left after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while processes_with(mark):  # noqa: ASYNC110 - nobody tells of the end of a process that is no child of ours
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        left = processes_with(mark)
        assert not left, f"still there after {seconds} s: {left}"
