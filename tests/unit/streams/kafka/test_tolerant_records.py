"""Promises about records whose header names are not UTF-8: they are read like all others, neighbours included."""

from __future__ import annotations

import struct
import sys

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

import streams.kafka.clients
from streams.kafka.tolerant_records import TolerantBatch, TolerantRecords
from tests.support.raw_batch import CODECS, raw_batch

Read = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
GOOD = (b"k", b"good", [(b"traceparent", b"\xff")])
BAD = (None, b"\x00\xff", [(b"fine", b"1"), (b"\xff\xfex", b"\xff"), (b"none", None)])


def read(batch: TolerantBatch | None) -> list[Read]:
    """Read a batch to its end."""
    assert batch is not None
    return [(record.offset, record.key, record.value, list(record.headers)) for record in batch]


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_name_that_is_no_text_is_read_with_replacements(codec: str) -> None:
    """Everything else of the record is as it was, and the records before and behind it are there once each."""
    records = TolerantRecords(raw_batch(GOOD, GOOD, BAD, GOOD, codec=codec))
    good = (b"k", b"good", [("traceparent", b"\xff")])
    bad = (None, b"\x00\xff", [("fine", b"1"), ("\ufffd\ufffdx", b"\xff"), ("none", None)])
    assert read(records.next_batch()) == [(0, *good), (1, *good), (2, *bad), (3, *good)]


def test_the_batches_around_it_are_read_as_ever() -> None:
    """Batches are told apart by their lengths, whichever reader has them."""
    data = raw_batch(GOOD) + raw_batch(GOOD, BAD) + raw_batch(GOOD, GOOD)
    records = TolerantRecords(data)
    assert records.size_in_bytes() == len(data)
    counts = []
    while records.has_next():
        counts.append(len(read(records.next_batch())))
    assert counts == [1, 2, 2]
    assert records.next_batch() is None


def test_a_batch_that_is_cut_off_is_not_returned() -> None:
    """A broker may cut an answer anywhere; the rest comes with the next fetch."""
    whole = raw_batch(BAD)
    records = TolerantRecords(whole + whole[:-1])
    assert len(read(records.next_batch())) == 1
    assert not records.has_next()


def test_a_batch_knows_all_that_a_batch_knows() -> None:
    """The consumer skips aborted transactions and markers by these."""
    batch = TolerantRecords(raw_batch(GOOD, BAD)).next_batch()
    assert batch is not None
    assert batch.validate_crc()
    assert (batch.base_offset, batch.next_offset) == (0, 2)
    assert not batch.is_control_batch
    assert not batch.is_transactional
    assert next(batch).value == b"good"


def test_a_batch_that_is_corrupt_is_an_error_still() -> None:
    """Tolerance is for names; a record that cannot be told from its neighbour is not made up."""
    data = bytearray(raw_batch(BAD))
    count_at = struct.calcsize(">qiibIhiqqqhi")
    struct.pack_into(">i", data, count_at, 7)
    batch = TolerantRecords(bytes(data)).next_batch()
    with pytest.raises(CorruptRecordException):
        read(batch)


def test_every_consumer_of_a_process_reads_so() -> None:
    """Importing the one place where clients are made is enough; a new aiokafka without the hook fails here."""
    assert streams.kafka.clients.__name__ in sys.modules
    assert fetcher.MemoryRecords is TolerantRecords
    with pytest.raises((UnicodeDecodeError, CorruptRecordException)):
        list(MemoryRecords(raw_batch(BAD)).next_batch())
