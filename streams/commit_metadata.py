"""What is committed beside an offset: which later offsets are finished already. Pure.

The text is `1:` and URL-safe base64 of a list of varints, counted from the committed offset on: how many offsets are
not finished, how many are, how many are not, ... The broker refuses more than 4,096 bytes
(`offset.metadata.max.bytes`); what does not fit is left out from the far end, so it is only done again after a crash.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator

VERSION = "1:"
MAX_CHARACTERS = 4000

LOW_BITS, MORE = 0x7F, 0x80
"""A varint: seven bits a byte, the lowest first; the eighth says that more follow."""

MAX_FINISHED = 1_000_000
"""How many offsets are believed to be finished: a text that claims more was not written here."""


def encode_finished(committed: int, finished: Iterable[int]) -> str:
    """Write which offsets at or beyond `committed` are finished; empty when there are none."""
    packed = bytearray()
    room = MAX_CHARACTERS * 3 // 4 - len(VERSION)
    position = committed
    for start, end in _ranges(finished):
        step = _varint(start - position) + _varint(end - start)
        if len(packed) + len(step) > room:
            break
        packed += step
        position = end
    return VERSION + base64.urlsafe_b64encode(packed).decode().rstrip("=") if packed else ""


def decode_finished(committed: int, metadata: str) -> frozenset[int]:
    """Read the offsets that are finished. Anything but a text of this version says nothing: all is done again."""
    if not metadata.startswith(VERSION):
        return frozenset()
    text = metadata.removeprefix(VERSION)
    try:
        numbers = list(_numbers(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))
    except (ValueError, binascii.Error):
        return frozenset()
    finished: set[int] = set()
    position = committed
    for gap, run in zip(numbers[::2], numbers[1::2], strict=False):
        if len(finished) + run > MAX_FINISHED:
            return frozenset()
        finished.update(range(position + gap, position + gap + run))
        position += gap + run
    return frozenset(finished)


def _ranges(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges (start, end) of consecutive offsets, in order; `end` is not in the range."""
    start: int | None = None
    last = 0
    for offset in sorted(offsets):
        if start is not None and offset == last + 1:
            last = offset
            continue
        if start is not None:
            yield start, last + 1
        start = last = offset
    if start is not None:
        yield start, last + 1


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > LOW_BITS:
        out.append(number & LOW_BITS | MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def _numbers(packed: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in packed:
        number |= (byte & LOW_BITS) << shift
        shift += 7
        if not byte & MORE:
            yield number
            number = shift = 0
