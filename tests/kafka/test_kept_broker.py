"""The broker of `orchestrator dev` comes back where its clients look for it."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import socket
from pathlib import Path

import pytest
from rich.console import Console

import streams.restarts
from streams.installation import ADDRESS_FILE
from streams.kept_broker import KeptBroker


async def until_told(told: io.StringIO, words: str) -> None:
    """Wait until the console shows these words."""
    async with asyncio.timeout(60):
        while words not in told.getvalue():  # noqa: ASYNC110 - a console tells nobody
            await asyncio.sleep(0.01)


async def test_a_broker_whose_port_is_taken_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles and the address file know this port only; it says why it is away, and tries again."""
    monkeypatch.setattr(streams.restarts, "RESTART_SECONDS", (1.0, 0.1))
    told = io.StringIO()
    broker = KeptBroker(tmp_path, Console(file=told, width=80))
    try:
        servers = await broker.start()
        assert (tmp_path / ADDRESS_FILE).read_text() == servers
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            os.kill(broker._broker.pid or 0, signal.SIGKILL)
            await until_told(told, "ended with status -9")
            other.bind(("127.0.0.1", int(servers.rpartition(":")[2])))
            other.listen()
            await until_told(told, "is used by another process")
        await until_told(told, f"{servers} answers again")
        assert (tmp_path / ADDRESS_FILE).read_text() == servers
    finally:
        await broker.stop()
    assert not (tmp_path / ADDRESS_FILE).exists()
