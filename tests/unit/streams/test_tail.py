"""Promises of `tail`: every record is one line of JSON, whatever it holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.tail import line


def shown(key: bytes | None, value: bytes | None) -> dict[str, Any]:
    """Return the line of a record, read back."""
    written = line(SimpleNamespace(partition=1, offset=2, timestamp=3, key=key, value=value))
    assert "\n" not in written
    described: dict[str, Any] = orjson.loads(written)
    return described


def test_a_line_says_where_a_record_is_and_what_it_holds() -> None:
    """The value is JSON inside JSON, not text."""
    assert shown(b"run-1", b'{"a": [1, null]}') == {
        "partition": 1,
        "offset": 2,
        "timestamp_ms": 3,
        "key": "run-1",
        "value": {"a": [1, None]},
    }


@pytest.mark.parametrize(
    ("data", "text"), [(b"plain", "plain"), (b"\xff{", "\\xff{"), (b"a\nb", "a\nb"), (b"", ""), (None, None)]
)
def test_what_is_no_json_is_shown_as_text(data: bytes | None, text: str | None) -> None:
    """Bytes that are no text are escaped; null stays null."""
    described = shown(data, data)
    assert (described["key"], described["value"]) == (text, text)


@pytest.mark.parametrize("levels", [253, 254, 255, 500, 1023, 5000])
def test_json_nested_deeper_than_can_be_written_is_shown_as_text(levels: int) -> None:
    """Somebody's record must not end the tail."""
    value = b"[" * levels + b"]" * levels
    assert shown(None, value)["value"] in (orjson.loads(value) if levels < 1024 else None, value.decode())


@given(st.none() | st.binary(), st.none() | st.binary())
def test_any_record_is_one_line(key: bytes | None, value: bytes | None) -> None:
    """Dead letters hold whatever was sent."""
    assert shown(key, value)["offset"] == 2


@pytest.mark.parametrize("value", ["\x7f\x9b31m", "\u202eabc\u2066", "\u2028", "\U000e0001", "\u200b"])
def test_what_could_drive_a_terminal_is_escaped(value: str) -> None:
    """Control sequences, text direction and what cannot be seen; the line reads back as the same text."""
    for data in (value.encode(), orjson.dumps({"a": value})):
        record = SimpleNamespace(partition=1, offset=2, timestamp=3, key=value.encode(), value=data)
        written = line(record)
        assert written.isprintable()
        assert orjson.loads(written)["key"] == value
        assert orjson.loads(written)["value"] in (value, {"a": value})
