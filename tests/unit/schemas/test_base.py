"""Promises of what all records have in common: depth, time, numbers, ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import (
    MAX_DEPTH,
    MAX_ID_CHARACTERS,
    Bool,
    Float,
    Id,
    Int,
    Milliseconds,
    Model,
    Timestamp,
    bounded_depth,
    milliseconds_between,
    timestamp_from_ms,
)

ID: TypeAdapter[str] = TypeAdapter(Id)
TIME: TypeAdapter[datetime] = TypeAdapter(Timestamp)


def nested(levels: int, leaf: Any = 1) -> Any:  # noqa: ANN401 - free-form JSON
    """Wrap a leaf in so many objects and arrays in turn."""
    for level in range(levels):
        leaf = {"a": leaf} if level % 2 else [leaf]
    return leaf


def test_json_is_taken_up_to_its_bound_and_no_deeper() -> None:
    """What is read here must be writable again; the message says what to do."""
    assert bounded_depth(nested(MAX_DEPTH - 1)) == nested(MAX_DEPTH - 1)
    assert bounded_depth(nested(MAX_DEPTH - 1, leaf=[])) is not None
    with pytest.raises(ValueError, match="deeper than 64 levels: flatten it"):
        bounded_depth(nested(MAX_DEPTH))


def test_depth_is_found_at_any_width_without_recursion() -> None:
    """One deep branch among shallow ones counts, and no depth exhausts the stack."""
    with pytest.raises(ValueError, match="deeper"):
        bounded_depth([1, {"a": []}, nested(100_000)])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_value_within_bounds_is_returned_as_it_is(value: object) -> None:
    """It is checked, not copied."""
    assert bounded_depth(value) is value


@given(st.integers(min_value=0, max_value=253_402_300_799_999))
def test_a_broker_timestamp_is_exact_to_the_millisecond(milliseconds: int) -> None:
    """No float is between the broker's clock and ours."""
    moment = timestamp_from_ms(milliseconds)
    assert moment.utcoffset() == timedelta(0)
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == milliseconds


def test_a_span_is_milliseconds_rounded_to_the_microsecond() -> None:
    """Also across offsets, and negative when the end is earlier."""
    start = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert milliseconds_between(start, start + timedelta(microseconds=1234)) == 1.234
    assert milliseconds_between(start, datetime(2026, 11, 23, 13, tzinfo=timezone(timedelta(hours=1)))) == 0.0
    assert milliseconds_between(start, start - timedelta(seconds=1)) == -1000.0


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.123456+02:00", "0001-01-01T00:00:00+23:00"]
)
def test_a_point_in_time_keeps_its_offset(text: str) -> None:
    """Whatever the offset, it can be compared with the broker's time."""
    assert isinstance(TIME.validate_python(text) < datetime.now(UTC), bool)


@pytest.mark.parametrize("text", ["2026-11-23T12:00:00", "2026-11-23", "noon", "", None, [], True])
def test_a_time_without_offset_is_refused(text: object) -> None:
    """Comparing it with the broker's time would raise, far from whoever wrote it."""
    with pytest.raises(ValidationError):
        TIME.validate_python(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Int, "5"),
        (Int, 5.0),
        (Int, True),
        (Float, "1.5"),
        (Float, True),
        (Bool, 1),
        (Bool, "true"),
        (Milliseconds, "12"),
        (Milliseconds, "inf"),
        (Milliseconds, float("inf")),
        (Milliseconds, float("nan")),
        (Milliseconds, -0.1),
    ],
)
def test_numbers_and_booleans_are_what_they_say(kind: Any, value: object) -> None:  # noqa: ANN401 - a type form
    """`"5"` is not 5, and what JSON cannot write back is no duration."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


def test_a_whole_number_is_a_duration_too() -> None:
    """JSON has one kind of number."""
    assert TypeAdapter(Milliseconds).validate_python(12) == 12.0


@pytest.mark.parametrize("name", ["a", "order 66", "né-日本", "x" * MAX_ID_CHARACTERS, "../../etc", "{}", "\u2028"])
def test_an_id_is_any_printable_text(name: str) -> None:
    """Upstream names its requests as it likes."""
    assert ID.validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "x" * (MAX_ID_CHARACTERS + 1), "a\nb", "a\n", "\x00", "\x7f", "a\x1b[31m", "\ud800"]
)
def test_an_id_has_no_control_characters_and_an_end(name: str) -> None:
    """A line feed would let one key mean two rows; an escape would drive the terminal it is shown on."""
    with pytest.raises(ValidationError):
        ID.validate_python(name)


def test_a_record_cannot_be_changed_and_unknown_fields_are_left_out() -> None:
    """An event is a fact; a newer writer never breaks an older reader."""

    class Point(Model):
        x: Int

    point = Point.model_validate({"x": 1, "y": 2})
    assert point.model_dump() == {"x": 1}
    with pytest.raises(ValidationError, match="frozen"):
        point.x = 2  # type: ignore[misc] # the promise is that this fails
    assert orjson.dumps(point.model_dump()) == b'{"x":1}'
