"""The storm: decides, from a seed, what is killed when."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter

from streams.kafka.clients import SESSION_TIMEOUT_MS
from streams.kafka.embedded import EmbeddedBroker
from tests.chaos.fleet import Fleet, Member
from tests.support.whole_log import Span

KINDS = {"SIGKILL": 5, "SIGTERM": 3, "SIGSTOP": 3}
"""What is done to processes, and how often, in proportion."""

FROZEN_SECONDS = (1.1 * SESSION_TIMEOUT_MS / 1000, 1.6 * SESSION_TIMEOUT_MS / 1000)
BACK_SECONDS = 10.0
"""How long after a kill work may take to go on."""


class Storm:
    """Kills, stops and freezes members of a fleet, and its broker, until it is cancelled."""

    def __init__(
        self, fleet: Fleet, seed: int, pause: float, broker: EmbeddedBroker | None, broker_pause: float
    ) -> None:
        """Take what to disturb, and the mean seconds between two disturbances, and between two of the broker."""
        self.kills: Counter[str] = Counter()
        self.excused: list[Span] = []
        self.story: list[str] = []
        """What was done when, for people."""
        self._fleet = fleet
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
        self._pause = pause
        self._broker = broker
        self._broker_pause = broker_pause
        self._freezing: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Disturb for so long; then let everything that is frozen go on."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        broker_due = loop.time() + self._random.uniform(0.5, 1.0) * self._broker_pause
        while (now := loop.time()) < end:
            if self._broker is not None and now >= broker_due:
                await self._kill_broker(self._broker)
                broker_due = loop.time() + self._random.uniform(0.5, 1.5) * self._broker_pause
            else:
                self._disturb()
            await asyncio.sleep(min(self._random.uniform(0.3, 1.7) * self._pause, max(0, end - loop.time())))
        await asyncio.gather(*self._freezing)

    def _disturb(self) -> None:
        """Do something to a member that can be spared; nothing when there is none."""
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        spares = self._fleet.spares()
        if not spares:
            return
        member = self._random.choice(spares)
        frozen = 0.0
        if kind == "SIGSTOP":
            frozen = self._random.uniform(*FROZEN_SECONDS)
            task = asyncio.create_task(self._fleet.freeze(member, frozen))
            self._freezing.add(task)
            task.add_done_callback(self._freezing.discard)
        else:
            member.expected = True
            member.send(signal.Signals[kind])
        self._note(kind, member, frozen)

    def _note(self, kind: str, member: Member, frozen: float) -> None:
        now = time.time()
        self.kills[f"{member.role} {kind}"] += 1
        pid = member.process.pid if member.process is not None else 0
        self.story.append(f"{_clock(now)} {kind} {member.name} ({pid}){f' for {frozen:.1f} s' if frozen else ''}")
        if member.role == "aggregator":
            self.excused.append(Span(now * 1000, (now + frozen + BACK_SECONDS) * 1000))

    async def _kill_broker(self, broker: EmbeddedBroker) -> None:
        start = time.time()
        assert broker._java is not None
        broker._java._signal(signal.SIGKILL)
        await broker.wait()
        await broker.start()
        self.kills["broker SIGKILL"] += 1
        self.story.append(f"{_clock(start)} SIGKILL broker, back after {time.time() - start:.1f} s")
        self.excused.append(Span(start * 1000, (time.time() + BACK_SECONDS) * 1000))


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{int(seconds * 1000) % 1000:03}"
