"""Promises of the outbox: it knows the fate of every record, and names the right one when it is bad."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from streams.outbox import NotPublished, Outbox
from streams.routes import Outgoing


class Broker:
    """A producer whose broker does as it is told: no real one refuses the one record and loses the other on demand."""

    def __init__(self, **fates: Exception | asyncio.Future[object] | None) -> None:
        """Say, by topic: refused at once, confirmed when the future ends, or None for confirmed."""
        self.fates = fates
        self.sent: list[str] = []

    async def send(self, topic: str, *_: object, **__: object) -> asyncio.Future[object]:
        """Take a record, or not."""
        fate = self.fates[topic]
        if isinstance(fate, Exception):
            raise fate
        self.sent.append(topic)
        if fate is not None:
            return fate
        confirmed: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        confirmed.set_result(None)
        return confirmed


def outbox(broker: Broker) -> Outbox:
    """Make an outbox on a broker of the test."""
    return Outbox(cast("AIOKafkaProducer", broker))


def records(*topics: str) -> list[Outgoing]:
    """Make one record per topic."""
    return [Outgoing(topic, None, b"{}") for topic in topics]


def pending() -> asyncio.Future[Any]:
    """Make a confirmation that is still to come."""
    return asyncio.get_running_loop().create_future()


async def test_the_record_that_cannot_be_sent_is_the_one_that_is_named() -> None:
    """An operator looks at that topic first."""
    broker = Broker(first=None, second=MessageSizeTooLargeError("too large"), third=None)
    with pytest.raises(NotPublished, match=r"record for second .*too large"):
        await outbox(broker).publish(*records("first", "second", "third"))
    assert broker.sent == ["first"]


async def test_the_record_that_is_not_confirmed_is_the_one_that_is_named() -> None:
    """Also when others were confirmed before and after."""
    lost = pending()
    lost.set_exception(KafkaTimeoutError())
    broker = Broker(first=None, second=lost, third=None)
    with pytest.raises(NotPublished, match="record for second "):
        await outbox(broker).publish(*records("first", "second", "third"))
    assert broker.sent == ["first", "second", "third"]


async def test_records_sent_before_the_one_that_fails_are_waited_for() -> None:
    """Their fate is known when the failure is told: nothing of them happens behind the caller's back."""
    slow = pending()
    publishing = asyncio.ensure_future(
        outbox(Broker(slow=slow, refused=MessageSizeTooLargeError())).publish(*records("slow", "refused"))
    )
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not publishing.done()
    slow.set_result(None)
    with pytest.raises(NotPublished, match="record for refused "):
        await publishing


async def test_what_is_no_kafka_error_is_raised_as_it_is() -> None:
    """A fault of ours is not the broker's."""
    with pytest.raises(AssertionError, match="partition"):
        await outbox(Broker(first=None, second=AssertionError("partition"))).publish(*records("first", "second"))


async def test_a_record_begun_early_tells_by_its_result() -> None:
    """The planner goes on speaking, and asks at the end."""
    lost = pending()
    lost.set_exception(KafkaTimeoutError())
    mixed = outbox(Broker(good=None, lost=lost))
    assert await mixed.start(*records("good"))
    assert not await mixed.start(*records("lost"))
