"""Records whose header names are not UTF-8, read all the same.

Kafka's header names are strings, but the broker does not check their bytes, and any client can write others. aiokafka's
compiled reader raises UnicodeDecodeError in the middle of such a batch, out of `getmany`, and again at every new try:
one record would stop its partition, and the process around it, for good. No record of that batch could be put aside
either, since none was ever returned.

So a batch that the compiled reader gives up is read again by aiokafka's own Python reader, with every byte that is not
UTF-8 replaced by U+FFFD. That is all that changes: key, value and header values are bytes and stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any, SupportsIndex, overload

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_BATCH_LENGTH = struct.Struct(">qi")
"""What every batch begins with: its base offset, and how many bytes follow."""

HEADERS_MAGIC = 2
"""The first format of batches whose records have headers."""


class TolerantRecords:
    """Stands in for aiokafka's `MemoryRecords`: the batches of one answer to a fetch."""

    def __init__(self, data: bytes) -> None:
        """Take the batches as the broker sent them."""
        self._data = data
        self._start = 0
        self._records = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """Count the bytes of all batches."""
        size: int = self._records.size_in_bytes()
        return size

    def has_next(self) -> bool:
        """Tell whether there is another whole batch."""
        known: bool = self._records.has_next()
        return known

    def next_batch(self) -> TolerantBatch | None:
        """Return the next batch; None behind the last."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        start = self._start
        _, length = _BATCH_LENGTH.unpack_from(self._data, start)
        self._start = start + _BATCH_LENGTH.size + length
        return TolerantBatch(batch, memoryview(self._data)[start : self._start])


class TolerantBatch:
    """A batch as the compiled reader has it, but iterating it ends in records and not in UnicodeDecodeError."""

    def __init__(self, batch: Any, data: memoryview) -> None:  # noqa: ANN401 - compiled, without types
        """Take the batch and its bytes."""
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a batch has
        """Be the batch in everything else: its offsets, its producer, whether it is a transaction marker."""
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401 - a compiled record
        """Return the one record of a transaction marker; aiokafka asks for it so."""
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        """Return the records, compiled as far as it goes."""
        read = 0
        try:
            for record in self._batch:
                yield record
                read += 1
        except (UnicodeDecodeError, CorruptRecordException):
            # aiokafka's readers wrap some errors of decoding. A batch that is corrupt indeed raises again here.
            if self._batch.magic < HEADERS_MAGIC:
                raise  # the old formats know no headers
            yield from islice(_TolerantReader(self._data), read, None)


class _TolerantReader(_DefaultRecordBatchPy):
    """aiokafka's Python reader, whose one `decode` is that of a header name."""

    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Bytes(self._buffer)


class _Bytes(bytearray):
    """Bytes whose text is decoded with replacements, as are the parts cut from them."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> int: ...

    @overload
    def __getitem__(self, index: slice, /) -> _Bytes: ...

    def __getitem__(self, index: Any, /) -> Any:
        found = super().__getitem__(index)
        return _Bytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        del errors
        return super().decode(encoding, "replace")


def read_tolerantly() -> None:
    """Make every consumer of this process read so. There is no setting or argument for it in aiokafka."""
    fetcher.MemoryRecords = TolerantRecords
