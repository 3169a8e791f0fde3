"""What an earlier owner has finished is handed on until it is committed, however early the next owner commits."""

from __future__ import annotations

from streams.commit_metadata import decode_finished, encode_finished
from streams.offsets import InOrderOffsets


def test_an_owner_that_dies_soon_hands_on_what_it_inherited() -> None:
    """It commits while the slow record is all it has been given: its successor skips what the first has finished."""
    first = InOrderOffsets()
    for offset in (5, 6, 7):
        first.begin(offset)
    first.finish(6)
    first.finish(7)
    second = InOrderOffsets(decode_finished(5, encode_finished(5, first.finished_ahead())))
    assert second.begin(5)
    assert second.committable() == 5
    third = InOrderOffsets(decode_finished(5, encode_finished(5, second.finished_ahead())))
    assert [offset for offset in (5, 6, 7, 8) if third.begin(offset)] == [5, 8]
    third.finish(5)
    third.finish(8)
    assert (third.committable(), third.finished_ahead()) == (9, set())
