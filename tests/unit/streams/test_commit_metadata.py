"""Promises of the commit metadata: what was finished out of order is known to the next owner, in bounded space."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.commit_metadata import MAX_CHARACTERS, VERSION, decode_finished, encode_finished


@given(st.integers(0, 2**40), st.sets(st.integers(0, 3000), max_size=400))
def test_what_is_written_is_read(committed: int, ahead: set[int]) -> None:
    """Whatever the holes are."""
    finished = {committed + one for one in ahead}
    text = encode_finished(committed, finished)
    assert len(text) <= MAX_CHARACTERS
    assert decode_finished(committed, text) == finished


def test_nothing_ahead_is_no_text() -> None:
    """The usual case costs nothing."""
    assert encode_finished(7, ()) == ""
    assert decode_finished(7, "") == frozenset()


def test_what_does_not_fit_is_left_out_from_the_far_end() -> None:
    """The broker refuses long texts; what is nearest is most likely to be read next."""
    finished = set(range(1, 100_000, 2))
    text = encode_finished(0, finished)
    assert len(text) <= MAX_CHARACTERS
    kept = decode_finished(0, text)
    assert 1000 < len(kept) < len(finished)
    assert kept == {one for one in finished if one <= max(kept)}


def test_a_long_run_is_short_to_say() -> None:
    """One slow record and ten thousand finished ones behind it are a few bytes."""
    assert len(encode_finished(5, range(6, 10_006))) < 12


@pytest.mark.parametrize("text", ["2:AAAA", "1:%%%", "hello", "1:" + "_" * 50, "1:gICAgICAgICAgICAgICAgA"])
def test_a_foreign_text_says_nothing_and_breaks_nothing(text: str) -> None:
    """Another version or another program may have committed: then all is done again."""
    assert all(isinstance(one, int) for one in decode_finished(3, text))
    assert len(decode_finished(3, text)) <= 1_000_000


@given(st.text(max_size=60))
def test_any_text_is_read_without_error(text: str) -> None:
    """An owner that cannot start is worse than one that repeats work."""
    decode_finished(0, VERSION + text)
