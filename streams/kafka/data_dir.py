"""The folder of the embedded broker: one broker at a time, even after crashes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.errors import OrchestratorError

LEFTOVER_SECONDS = 15.0
"""How long a broker whose owner is gone may take to end. Its lifeline kills it after ten."""
_POLL_SECONDS = 0.05


class DataDirInUse(OrchestratorError):
    """The broker data in {path} is in use: {holder}. Stop that one first, or choose another data directory."""


class DataDirUnusable(OrchestratorError):
    """The broker cannot keep its data in {path}: {reason}. Choose another data directory."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who uses the folder, as written into it."""

    pid: int
    """The java process; 0 while the owner is still starting it."""
    owner: int
    """The process that started it and ends it."""
    port: int
    """Where the broker listens; 0 while the owner is still starting it."""

    def __str__(self) -> str:
        """Describe the holder for a person."""
        if not self.pid:
            return f"process {self.owner} is starting or stopping a broker there"
        return f"a broker with pid {self.pid} listens on 127.0.0.1:{self.port} (started by process {self.owner})"


class DataDir:
    """The claim on a folder.

    The claim is a lock on the open file `broker.lock`, which the java child inherits. So it lasts exactly as long as
    the owner or its child lives, and needs no cleaning up after a crash. What the file says is for people, and for
    finding a child whose owner is gone.
    """

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is touched before `claim`."""
        self.path = path.resolve()
        self._lock: int | None = None

    @property
    def log_file(self) -> Path:
        """Kafka's log."""
        return self.path / "kafka.log"

    @property
    def output_file(self) -> Path:
        """What java printed; usually nothing of interest."""
        return self.path / "java.out"

    @property
    def lock_fd(self) -> int:
        """The file descriptor a child has to inherit so that the claim lasts as long as the child."""
        if self._lock is None:
            message = "the folder is not claimed"
            raise RuntimeError(message)
        return self._lock

    @property
    def is_formatted(self) -> bool:
        """Whether there is a Kafka storage, whole: it is made elsewhere and moved here in one step."""
        return (self.path / "data" / "meta.properties").is_file()

    async def claim(self) -> None:
        """Take the folder; a broker on it whose owner is gone is ended first.

        Raises `DataDirInUse` or `DataDirUnusable`.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            await self._claim()
        except OSError as error:
            raise DataDirUnusable(path=self.path, reason=error.strerror or error) from error

    async def _claim(self) -> None:
        started = time.monotonic()
        asked = killed = False
        while not self._try_lock():
            waited = time.monotonic() - started
            holder = self._holder()
            if holder is None or not holder.pid:
                # The other one is between taking the lock and writing who it is, or is letting go.
                if waited > 1 or (holder and is_alive(holder.owner)):
                    raise DataDirInUse(path=self.path, holder=holder or "another process holds its lock")
            elif is_alive(holder.owner) or waited > LEFTOVER_SECONDS:
                raise DataDirInUse(path=self.path, holder=holder)
            elif not asked:
                if not self._is_ours(holder.pid):
                    raise DataDirInUse(path=self.path, holder=holder)
                asked = True
                _send(holder.pid, signal.SIGTERM)
            elif not killed and waited > LEFTOVER_SECONDS - 5 and self._is_ours(holder.pid):
                # Asked again whether it is ours, but only here: a process that is ending has lost its command line
                # already while it still holds the lock, and then there is nothing to do but to wait.
                killed = True
                _send(holder.pid, signal.SIGKILL)
            await asyncio.sleep(_POLL_SECONDS)
        self.record(pid=0, port=0)
        # A format that was interrupted. The storage itself is only ever moved into place whole.
        shutil.rmtree(self.path / "data.new", ignore_errors=True)

    def record(self, *, pid: int, port: int) -> None:
        """Write who holds the folder."""
        text = json.dumps(asdict(Holder(pid=pid, owner=os.getpid(), port=port))).encode()
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, text, 0)

    def adopt_storage(self) -> None:
        """Move the freshly formatted storage `data.new` into place."""
        (self.path / "data.new").rename(self.path / "data")

    def release(self) -> None:
        """Let go of the folder. A child that still runs keeps the claim."""
        if self._lock is not None:
            # Closed, not unlocked: unlocking would take the claim from a child as well.
            os.close(self._lock)
            self._lock = None

    def _try_lock(self) -> bool:
        descriptor = os.open(self.path / "broker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._lock = descriptor
        return True

    def _holder(self) -> Holder | None:
        try:
            facts = json.loads((self.path / "broker.lock").read_bytes())
            return Holder(pid=int(facts["pid"]), owner=int(facts["owner"]), port=int(facts["port"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _is_ours(self, pid: int) -> bool:
        """Whether that process certainly is a broker on this folder: numbers are reused, and signals are not undone."""
        return f"-Dorchestrator.data.dir={self.path}" in _arguments(pid)


def is_alive(pid: int) -> bool:
    """Return whether a process runs: one that has ended but whose exit code nobody took does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    # Linux tells such a zombie from a process; elsewhere it counts as alive until its code is taken.
    with contextlib.suppress(OSError):
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return True


def _arguments(pid: int) -> list[str]:
    """Return the command line of a process, empty when it cannot be read."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        pass
    try:
        # macOS has no /proc. A folder with blanks in its name is not found this way, which errs on the safe side.
        shown = subprocess.run(  # noqa: S603 - a number as its only variable argument
            ["ps", "-ww", "-o", "args=", "-p", str(pid)],  # noqa: S607 - wherever the system has it
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return shown.stdout.split()


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
