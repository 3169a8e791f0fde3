"""Batches of records with any bytes as header names, as clients write them that do not check."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""The names of Kafka's codecs, and their numbers in a batch."""

Raw = tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]
"""Key, value and headers of a record."""


class _Name(str):
    """A header name that is encoded to the bytes it is given."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        del encoding, errors
        return self.raw


def _name(raw: bytes) -> _Name:
    name = _Name("name")
    name.raw = raw
    return name


def raw_batch(*records: Raw, codec: str = "none") -> bytes:
    """Write records as one batch."""
    builder = _DefaultRecordBatchBuilderPy(2, CODECS[codec], 0, -1, -1, -1, 1 << 20)
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, None, key, value, [(_name(name), content) for name, content in headers])
    return bytes(builder.build())


async def produce_raw(producer: AIOKafkaProducer, topic: str, partition: int, batch: bytes) -> int:
    """Have the leader of a partition append a batch as it is; return its first offset."""
    await producer.client._wait_on_metadata(topic)
    node = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
    request = ProduceRequest(
        transactional_id=None, required_acks=-1, timeout=5000, topics=[(topic, [(partition, batch)])]
    )
    response = await producer.client.send(node, request)
    ((_, ((_, error, offset, *_rest),)),) = response.topics
    assert error == 0, f"the broker refused the batch with error {error}"
    assert isinstance(offset, int)
    return offset
