"""Ctrl-C at any moment of `orchestrator dev` and `orchestrator kafka`: over soon, told truly, and nothing left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from streams.installation import ADDRESS_FILE
from streams.settings import Settings
from tests.support.pipeline import call, script
from tests.support.processes import processes_with, until_gone
from tests.support.role_process import command, environment_of, run_command
from tests.support.switchboard import Switchboard

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")

INTERRUPTED = 130
SOON_SECONDS = 6.0
SCRIPT = script(
    (r"^remote (?P<text>\w+)$", [{"calls": [call("remote", text="{text}")]}, {"answer": "{results[0]}"}]),
    ("^hello$", [{"answer": "hello"}]),
)
Process = asyncio.subprocess.Process


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of the command. Its path marks every process that belongs to it."""
    return tmp_path / "data"


@pytest.fixture
def environment(tmp_path: Path, data: Path) -> dict[str, str]:
    """No broker is named; a script with a call that the test decides."""
    (tmp_path / "script.yaml").write_text(SCRIPT)
    return environment_of(
        Settings(bootstrap_servers=None),
        ORCHESTRATOR_DATA_DIR=str(data),
        ORCHESTRATOR_SCRIPT=str(tmp_path / "script.yaml"),
        ORCHESTRATOR_TOOLS="tests.support.remote_tool",
    )


@asynccontextmanager
async def deaf_registry() -> AsyncIterator[tuple[dict[str, str], Awaitable[None]]]:
    """Stand in for a network that swallows everything; yield the variables that lead there, and the first contact."""
    contact: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not contact.done():
            contact.set_result(None)
        await over.wait()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    names = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
    try:
        yield {**dict.fromkeys(names, address), "no_proxy": "", "NO_PROXY": ""}, contact
    finally:
        over.set()
        server.close()


async def until_said(process: Process, words: str, seconds: float = 60) -> None:
    """Read standard output up to these words."""
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(seconds):
        while words.encode() not in said:
            chunk = await process.stdout.read(1024)
            assert chunk, f"it ended without {words!r}: {said.decode()}"
            said += chunk


async def until_there(path: Path) -> None:
    """Wait until another process has made a file."""
    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110, ASYNC240 - nobody tells of another process's files
            await asyncio.sleep(0.01)


async def interrupt(process: Process, mark: Path, seconds: float = SOON_SECONDS) -> tuple[int | None, str, str]:
    """Send Ctrl-C; return exit status and what was said since. Nothing may be left, and it must not take longer."""
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(seconds + 10):
        out, err = await process.communicate()
    assert time.monotonic() - start < seconds
    assert "Traceback" not in err.decode()
    await until_gone(str(mark), 2)
    return process.returncode, out.decode(), err.decode()


def arguments(name: str, data: Path) -> tuple[str, ...]:
    """Return the command line of `dev` or `kafka`."""
    return ("dev",) if name == "dev" else ("kafka", "--data-dir", str(data / "kafka"))


@pytest.mark.parametrize("name", ["dev", "kafka"])
async def test_ctrl_c_while_the_command_is_loaded_says_nothing(
    environment: dict[str, str], data: Path, tmp_path: Path, name: str
) -> None:
    """Python takes a second for it, which is when people notice that they meant another command."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    async with command({**environment, "PYTHONPATH": str(shadow)}, *arguments(name, data)) as process:
        await until_said(process, "importing")
        assert await interrupt(process, data) == (INTERRUPTED, "", "")


@pytest.mark.parametrize("name", ["dev", "kafka"])
async def test_ctrl_c_while_jars_are_fetched_ends_it_at_once(
    environment: dict[str, str], data: Path, tmp_path: Path, name: str
) -> None:
    """However slow the network is; it is not called a failure, and nothing half fetched is kept."""
    cache = tmp_path / "cache"
    async with deaf_registry() as (network, contact):
        variables = {**environment, **network, "XDG_CACHE_HOME": str(cache)}
        async with command(variables, *arguments(name, data)) as process:
            async with asyncio.timeout(60):
                await contact
            status, out, err = await interrupt(process, data)
    assert status == INTERRUPTED
    assert "cannot be used" not in out + err
    assert not list(cache.rglob("*.jar"))
    assert not list(cache.rglob(".fetch-*"))


@pytest.mark.parametrize("name", ["dev", "kafka"])
async def test_ctrl_c_while_the_broker_starts_leaves_no_java(
    environment: dict[str, str], data: Path, name: str
) -> None:
    """In the middle of its first start; the next one finds nothing in its way."""
    async with command(environment, *arguments(name, data)) as process:
        await until_there(data / "kafka" / "server.properties")
        status, out, err = await interrupt(process, data)
        assert status == INTERRUPTED
        assert "orchestrator:" not in out + err
    async with command(environment, "kafka", "--data-dir", str(data / "kafka")) as process:
        await until_said(process, "Kafka listens on")
        assert (await interrupt(process, data))[0] == 0


async def test_ctrl_c_while_the_roles_start_leaves_no_process(environment: dict[str, str], data: Path) -> None:
    """Half of them may be there."""
    async with command(environment, "dev") as process:
        await until_said(process, "topics: ")
        status, out, _ = await interrupt(process, data, 10)
        assert (status, out.splitlines()[-1]) == (INTERRUPTED, "stopping ...")


async def test_ctrl_c_before_the_end_of_the_only_run_is_130(environment: dict[str, str], data: Path) -> None:
    """A script that called `dev --once` must not take it for a run that completed."""
    async with Switchboard(data.parent / "s") as switchboard:
        switchboard.on_hold = {"stuck"}
        environment = {**environment, "SWITCHBOARD_SOCKET": os.environ["SWITCHBOARD_SOCKET"]}
        async with command(environment, "dev", "--once", "--prompt", "remote stuck") as process:
            await until_said(process, "remote stuck")
            await switchboard.until_began("stuck")
            assert (await interrupt(process, data, 10))[0] == INTERRUPTED


async def test_the_status_of_dev_once_is_that_of_its_run(environment: dict[str, str], data: Path) -> None:
    """0 only for `completed`."""
    status, out, err = await run_command(environment, "dev", "--once", "--prompt", "unheard of")
    assert status == 1, err
    assert "failed" in out
    await until_gone(str(data), 2)


async def test_ctrl_c_with_a_call_under_way_is_over_in_time_and_in_order(
    environment: dict[str, str], data: Path
) -> None:
    """Nobody is killed, so all leave their groups, and the next start does not wait for the dead."""
    async with Switchboard(data.parent / "s") as switchboard:
        switchboard.on_hold = {"stuck"}
        environment = {**environment, "SWITCHBOARD_SOCKET": os.environ["SWITCHBOARD_SOCKET"]}
        async with command(environment, "dev", "--prompt", "hello") as process:
            await until_said(process, "Everything stays up")
            producer = AIOKafkaProducer(bootstrap_servers=(data / ADDRESS_FILE).read_text())
            await producer.start()
            await producer.send_and_wait("requests", b'{"prompt": "remote stuck"}')
            await producer.stop()
            await switchboard.until_began("stuck")
            status, _, err = await interrupt(process, data, 10)
            assert status == 0
            assert "killed" not in err
        assert not (data / ADDRESS_FILE).exists()
        await switchboard.release("stuck")
        async with command(environment, "dev", "--prompt", "hello") as process:
            await until_said(process, "topics: ")
            start = time.monotonic()
            await until_said(process, "Everything stays up", 30)
            assert time.monotonic() - start < 10
            assert (await interrupt(process, data, 10))[0] == 0


async def test_a_killed_dev_leaves_no_process_and_ask_says_how_to_go_on(
    environment: dict[str, str], data: Path
) -> None:
    """Broker and roles notice that it is gone, and end. The broker's address is still there, and nobody is at it."""
    async with command(environment, "dev", "--prompt", "hello") as process:
        await until_said(process, "Everything stays up")
        process.kill()
        await process.wait()
        await until_gone(str(data), 15)
    assert (data / ADDRESS_FILE).exists()
    status, _, err = await run_command(environment, "ask", "hello")
    assert status == 2
    assert "Start `orchestrator dev`" in err
    assert "Traceback" not in err
    assert not processes_with(str(data))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("65535", lambda _: ("kafka", "--port", "70000")),
        ("cannot keep its data", lambda folder: ("kafka", "--data-dir", str(folder / "file" / "kafka"))),
    ],
    ids=["port", "data folder"],
)
async def test_a_broker_that_cannot_be_is_refused_without_a_traceback(
    environment: dict[str, str], tmp_path: Path, words: str, line: Callable[[Path], tuple[str, ...]]
) -> None:
    """A port that there is not, a folder below a file: status 2 and the reason."""
    (tmp_path / "file").touch()
    status, _, err = await run_command(environment, *line(tmp_path))
    assert status == 2
    assert words in err
    assert "Traceback" not in err
