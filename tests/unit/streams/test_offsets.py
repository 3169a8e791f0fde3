"""Promises of the in-order offsets: what is not finished is never committed past."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.commit_metadata import decode_finished, encode_finished
from streams.offsets import InOrderOffsets


def test_with_nothing_begun_there_is_nothing_to_commit() -> None:
    """The group keeps the offset it has."""
    assert InOrderOffsets().committable() is None


def test_a_slow_record_holds_back_the_fast_ones_behind_it() -> None:
    """A crash repeats it, and those behind it."""
    offsets = InOrderOffsets()
    for offset in (5, 6, 7):
        assert offsets.begin(offset)
    offsets.finish(6)
    offsets.finish(7)
    assert (offsets.committable(), len(offsets)) == (5, 1)
    offsets.finish(5)
    assert (offsets.committable(), len(offsets)) == (8, 0)


def test_holes_in_the_offsets_are_no_records() -> None:
    """Transaction markers and compacted records take numbers, and are never begun."""
    offsets = InOrderOffsets()
    for offset in (10, 14, 20):
        offsets.begin(offset)
    offsets.finish(10)
    assert offsets.committable() == 14
    offsets.finish(14)
    offsets.finish(20)
    assert offsets.committable() == 21


def test_a_record_is_begun_once() -> None:
    """Whoever began it first will finish it; a second delivery neither runs it again nor moves anything back."""
    offsets = InOrderOffsets()
    assert offsets.begin(5)
    offsets.finish(5)
    assert not offsets.begin(5)
    assert not offsets.begin(4)
    assert offsets.committable() == 6


def test_finishing_what_was_never_begun_changes_nothing() -> None:
    """A handler that outlived its ownership has no say."""
    offsets = InOrderOffsets()
    offsets.begin(5)
    offsets.finish(6)
    offsets.finish(4)
    assert offsets.committable() == 5


@given(st.sets(st.integers(0, 60), min_size=1), st.data())
def test_no_unfinished_record_is_ever_committed_past_and_nothing_finished_is_forgotten(
    numbers: set[int], data: st.DataObject
) -> None:
    """In whatever order records finish, and however often one looks: a commit never goes back either."""
    offsets, order, finished = InOrderOffsets(), sorted(numbers), set[int]()
    begun: list[int] = []
    previous = -1
    while order or len(finished) < len(begun):
        unfinished = [offset for offset in begun if offset not in finished]
        if order and (not unfinished or data.draw(st.booleans())):
            begun.append(order.pop(0))
            offsets.begin(begun[-1])
        else:
            chosen = data.draw(st.sampled_from(unfinished))
            finished.add(chosen)
            offsets.finish(chosen)
        committable = offsets.committable()
        assert committable is not None
        assert all(offset in finished for offset in begun if offset < committable)
        assert committable >= previous
        previous = committable
    assert offsets.committable() == max(numbers) + 1


@given(st.data())
def test_a_crash_repeats_only_what_was_in_flight(data: st.DataObject) -> None:
    """The next owner starts at the committed offset, skips what is finished, and begins everything else."""
    records = list(range(data.draw(st.integers(1, 30))))
    first = InOrderOffsets()
    begun = data.draw(st.integers(0, len(records)))
    for offset in records[:begun]:
        assert first.begin(offset)
    done = data.draw(st.sets(st.sampled_from(records[:begun]))) if begun else set()
    for offset in data.draw(st.permutations(sorted(done))):
        first.finish(offset)
    committed = first.committable() or 0
    metadata = encode_finished(committed, first.finished_ahead())

    second = InOrderOffsets(decode_finished(committed, metadata))
    again = [offset for offset in records[committed:] if second.begin(offset)]
    assert again == [offset for offset in records if offset not in done]
    for offset in again:
        second.finish(offset)
    assert second.committable() in {len(records), None if committed == len(records) else len(records)}
    assert second.finished_ahead() == set()


def test_how_far_work_has_run_ahead_is_known() -> None:
    """It is what a bound is put on: records begun from the lowest unfinished one on, finished or not."""
    offsets = InOrderOffsets()
    for offset in range(5):
        offsets.begin(offset)
    assert offsets.lead == 5
    offsets.finish(3)
    assert offsets.lead == 5
    offsets.finish(0)
    assert offsets.lead == 4
    offsets.finish(1)
    offsets.finish(2)
    assert offsets.lead == 1
