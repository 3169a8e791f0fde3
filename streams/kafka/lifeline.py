"""A lifeline: a process that ends another one when its owner is gone, however the owner ended.

The java child must not outlive an owner that was killed with SIGKILL. Linux' PR_SET_PDEATHSIG would do that without a
process, but it fires when the *thread* that started the child ends, needs code between fork and exec (unsafe beside
threads), and macOS has nothing like it. So a tiny `/bin/sh` waits on a pipe whose other end only the owner has: the
kernel closes it when the owner ends, whatever ended it. It costs one sleeping shell of about 1 MB, works on every
POSIX system, and lets the broker shut down in order (SIGTERM first).
"""

from __future__ import annotations

import contextlib
import subprocess

_SCRIPT = """
read -r pid || exit 0
read -r done && exit 0
kill -TERM "$pid" 2>/dev/null || exit 0
for second in 1 2 3 4 5 6 7 8 9 10; do
    sleep 1
    kill -0 "$pid" 2>/dev/null || exit 0
done
kill -KILL "$pid" 2>/dev/null
"""


class Lifeline:
    """Ends one process (SIGTERM, ten seconds later SIGKILL) as soon as the process that holds this object is gone."""

    def __init__(self) -> None:
        """Start the shell that waits. Start it before the process to guard: then no moment is without it."""
        self._shell = subprocess.Popen(  # noqa: S603 - nothing in the command varies
            ["/bin/sh", "-c", _SCRIPT, "orchestrator-lifeline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Its own session: a Ctrl-C in the terminal must not end the guard before what it guards.
            start_new_session=True,
        )

    def guard(self, pid: int) -> None:
        """Say which process ends with the owner."""
        self._write(f"{pid}\n")

    def release(self) -> None:
        """Say that the process has ended by itself, so that its number, free again, is never signalled."""
        self._write("done\n")
        if self._shell.stdin:
            with contextlib.suppress(OSError):
                self._shell.stdin.close()
        self._shell.wait()

    def _write(self, line: str) -> None:
        # A shell that somebody killed is no reason to fail: the guard is for the owner's sudden death only.
        if self._shell.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._shell.stdin.write(line.encode())
                self._shell.stdin.flush()
