"""The load: requests of several kinds at a steady rate, each known by its name, and what their answers must be."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator

from aiokafka.errors import KafkaError

from schemas.run import RunFinished
from tests.support.pipeline import Document, Pipeline, call, script
from tests.support.violation import Violation
from tests.support.whole_log import Index

HANG_DEADLINE_MS = 2_500
MAX_MS = 300
"""The longest a tool takes."""

REPEATED = 0.02
"""How many of the requests are sent twice, as producers do that have not heard of the first."""

AFTER = {"$result": "sum"}
SCRIPT = script(
    (r"^once (?P<n>\d+) (?P<ms>\d+)$", [{"calls": [call("fetch", n="{n:int}", ms="{ms:int}"), call("double", n=1)]}]),
    (
        r"^twice (?P<n>\d+) (?P<ms>\d+)$",
        [
            {"per_call_ms": 20, "calls": [call("fetch", n="{n:int}", ms="{ms:int}"), call("fetch", n=0, ms=0)]},
            {"calls": [call("double", n="{results[0]:int}")]},
            {"answer": "{results[0]}"},
        ],
    ),
    (
        r"^chain (?P<n>\d+) (?P<ms>\d+)$",
        [
            {
                "calls": [
                    {"id": "sum", **call("fetch", n="{n:int}", ms="{ms:int}")},
                    call("double", n=AFTER),
                    call("pay", amount=AFTER),
                ]
            },
            {"answer": "{results[1]}"},
        ],
    ),
    (r"^pay (?P<n>\d+) (?P<ms>\d+)$", [{"calls": [call("pay", amount="{n:int}"), call("double", n=2)]}]),
    (r"^hang (?P<n>\d+) (?P<ms>\d+)$", [{"calls": [call("hang"), call("double", n=3)]}]),
)
KINDS = {"once": 6, "twice": 5, "chain": 4, "pay": 3, "hang": 1, "reject": 1}
"""Kinds of request and how often each comes, in proportion."""

STATUSES = {"hang": "partial", "reject": "rejected"}
"""How runs end; the others complete."""


class Load:
    """Sends requests until it is stopped."""

    def __init__(self, pipeline: Pipeline, rate: float, seed: int) -> None:
        """Take where to send, how many a second, and what decides their kinds."""
        self.sent = 0
        self._pipeline = pipeline
        self._pause = 1 / rate
        self._random = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
        self._confirmations: set[asyncio.Task[object]] = set()

    async def run(self) -> None:
        """Send at a steady rate, whether or not anybody answers."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.sent += 1
            name, request = self._next()
            for _ in range(2 if self._random.random() < REPEATED else 1):
                task = asyncio.create_task(self._send(name, request))
                self._confirmations.add(task)
                task.add_done_callback(self._confirmations.discard)
            due += self._pause
            await asyncio.sleep(max(0, due - loop.time()))

    async def confirmed(self) -> None:
        """Wait until the broker has answered all sends."""
        await asyncio.gather(*self._confirmations)

    def _next(self) -> tuple[str, Document]:
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        number, ms = self.sent, self._random.randint(0, MAX_MS)
        request: Document = {"prompt": f"{kind} {number} {ms}"}
        if kind in {"once", "pay", "hang"}:
            request["mode"] = "results"
        if kind == "hang":
            request["timeout_ms"] = HANG_DEADLINE_MS
        if kind == "reject":
            request["max_turns"] = "many"
        return f"{kind}-{number}", request

    async def _send(self, name: str, request: Document) -> None:
        # The broker may have it or not: only what is in the log has to be answered.
        with contextlib.suppress(KafkaError):
            await self._pipeline.submit(request, name.encode())


def wrong_answers(index: Index) -> Iterator[Violation]:
    """Say which runs ended otherwise than they should."""
    for name, found in index.responses.items():
        kind, _, number = name.partition("-")
        problem = _problem(found[0][0], kind, int(number))
        if problem is not None:
            yield Violation("answers are right", name, problem)


def _problem(response: RunFinished, kind: str, number: int) -> str | None:
    expected = STATUSES.get(kind, "completed")
    # Where nobody was left to plan, or to run the quick call, before the deadline, nothing at all was done.
    if response.status != expected and not (kind == "hang" and response.status == "timed_out"):
        return f"is {response.status}, not {expected}: {response.error} {[one.error for one in response.results]}"
    answers = {"twice": str(2 * number), "chain": str(2 * number)}
    if kind in answers and response.answer != answers[kind]:
        return f"has the answer {response.answer}, not {answers[kind]}"
    return None
