"""The embedded broker of `orchestrator dev`: found by other commands, and started again when it dies."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.console import Console

from schemas.errors import OrchestratorError
from streams.installation import ADDRESS_FILE
from streams.kafka.embedded import EmbeddedBroker
from streams.restarts import RestartPauses

END_SECONDS = 2.5
"""How long it may take to stop before it is killed; 0.4 s is usual. Ctrl-C has to be over within ten seconds, of which
the roles may take `streams.child.END_SECONDS`."""


class KeptBroker:
    """An embedded broker with its address in a file of the data folder. It keeps its port over restarts."""

    def __init__(self, data_dir: Path, console: Console) -> None:
        """Name the folder; what happens to the broker is told on the console."""
        self._console = console
        self._address_file = data_dir / ADDRESS_FILE
        self._broker = EmbeddedBroker(data_dir / "kafka")
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Start the broker and return its address, "127.0.0.1:PORT". Raises what `EmbeddedBroker.start` does."""
        self._console.print("kafka: starting the embedded broker ...")
        start = time.monotonic()
        await self._broker.start()
        servers = self._broker.bootstrap_servers
        self._console.print(f"kafka: {servers} answers after {time.monotonic() - start:.1f} s")
        self._address_file.write_text(servers)
        self._keeper = asyncio.create_task(self._keep(), name="keep broker")
        return servers

    async def wait(self) -> None:
        """Wait for an error of ours in keeping the broker; without one for ever."""
        if self._keeper is not None:
            await self._keeper

    async def stop(self) -> None:
        """Stop the broker and take its address away. Does nothing when it was not started."""
        if self._keeper is None:
            return
        self._keeper.cancel()
        await asyncio.gather(self._keeper, return_exceptions=True)
        self._address_file.unlink(missing_ok=True)
        await self._broker.stop(END_SECONDS)

    async def _keep(self) -> None:
        pauses = RestartPauses()
        while True:
            code = await self._broker.wait()
            self._tell(f"the broker ended with status {code} and is started again (log: {self._broker.log_file})")
            while not await self._start_again(pauses.next()):
                pass
            pauses.up()
            self._tell(f"{self._broker.bootstrap_servers} answers again")

    async def _start_again(self, pause: float) -> bool:
        await asyncio.sleep(pause)
        try:
            await self._broker.start()
        except (OrchestratorError, OSError) as error:
            reason = str(error).splitlines()[0]
            self._tell(f"the broker does not start, and is tried again: {reason}")
            return False
        return True

    def _tell(self, what: str) -> None:
        self._console.print(f"kafka: {what}", markup=False, soft_wrap=True)
