"""Who asks, in a simulation: requests, some twice, some bad; cancellations; and records that nobody can read."""

from __future__ import annotations

import orjson

from schemas.codec import encode
from schemas.control import CancelRequested
from schemas.record import Record
from streams.routes import Outgoing
from tests.simulation.log import PARTITIONS, Log
from tests.simulation.toolbox import ROUTES
from tests.simulation.world import Steps

TIMEOUTS_MS = (400, 1_500, 3_000, None)


class Upstream:
    """Writes everything that comes from outside."""

    def __init__(self, log: Log) -> None:
        """Remember what was asked."""
        self.requested: dict[str, Record] = {}
        """The first request of each name."""
        self.unreadable: list[Record] = []
        self._log = log
        self._rng = log.world.rng

    def start(self) -> None:
        """Begin."""
        partitions = self._rng.choice(((0,), (0, 1)))
        for number in range(self._rng.randint(1, 5)):
            self._log.world.start(None, self._ask(f"run-{number}", self._rng.choice(partitions)))
        if self._rng.random() < 0.3:
            self._log.world.start(None, self._babble())

    def _ask(self, name: str, partition: int) -> Steps:
        rng = self._rng
        yield rng.choice((rng.uniform(0, 800), 200 + 20 * rng.random()))
        document = {
            "prompt": "" if rng.random() < 0.03 else f"{name} {rng.random()}",
            "mode": rng.choice(("answer", "answer", "results")),
            "timeout_ms": rng.choice(TIMEOUTS_MS),
        }
        value = orjson.dumps({field: one for field, one in document.items() if one is not None})
        self.requested[name] = self._log.append(Outgoing(ROUTES.requests, name.encode(), value, partition))
        if document["prompt"] and rng.random() < 0.2:
            self._log.world.seen["request twice"] += 1
            yield rng.choice((1, 100, 1_500))
            self._log.append(Outgoing(ROUTES.requests, name.encode(), value, partition))
        elif rng.random() < 0.1:
            yield rng.uniform(0, 300)
            cancel = encode(CancelRequested(correlation_id=name))
            self._log.append(Outgoing(ROUTES.run_events, name.encode(), cancel, partition))

    def _babble(self) -> Steps:
        for partition in range(PARTITIONS):
            yield self._rng.uniform(0, 1_000)
            out = Outgoing(ROUTES.run_events, b"?", b"unreadable", partition)
            self.unreadable.append(self._log.append(out))
