"""The switchboard: knows which calls of the tool `remote` began, in any process, and when each may end."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Self

from tests.support.remote_tool import SOCKET


class Switchboard:
    """Answers executions of `remote` at once, except calls whose text is on hold."""

    def __init__(self, path: Path) -> None:
        """Name the socket, which must be a short path."""
        self.began: Counter[str] = Counter()
        """Executions by text."""
        self.on_hold: set[str] = set()
        self._path = path
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen, and let executions in this process and its children find the way."""
        self._server = await asyncio.start_unix_server(self._take_call, self._path)
        os.environ[SOCKET] = str(self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let all calls end and listen no more."""
        del os.environ[SOCKET]
        await self.release(*self.on_hold)
        await asyncio.gather(*self._lines)
        if self._server is not None:
            self._server.close()

    async def until_began(self, *texts: str) -> None:
        """Wait until a call of each of these texts has begun."""
        async with asyncio.timeout(20), self._changed:
            await self._changed.wait_for(lambda: all(self.began[text] for text in texts))

    async def release(self, *texts: str) -> None:
        """Let calls of these texts end, those that hang and those to come."""
        self.on_hold.difference_update(texts)
        async with self._changed:
            self._changed.notify_all()

    async def answer(self, text: str) -> str:
        """Note that something began, and return its answer as soon as it is not on hold."""
        async with self._changed:
            self.began[text] += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: text not in self.on_hold)
        return f"answer to {text}"

    async def _take_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            _, _, text = (await reader.readline()).decode().strip().partition(" ")
            writer.write(f"{await self.answer(text)}\n".encode())
            await writer.drain()
        except ConnectionError:
            pass  # the process that asked was killed, as the test wants it
        finally:
            self._lines.discard(task)
            writer.close()
