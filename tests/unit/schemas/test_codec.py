"""Promises of the codec: every record is an event or says why it is none, and nothing else happens."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import Event
from schemas.codec import MAX_PROBLEMS, Codec, Malformed, encode
from schemas.events import CODECS, REQUESTS, RUN_EVENTS, TURNS
from schemas.plan import PlanCreated
from schemas.request import RequestSubmitted
from schemas.tool_call import ToolCallSucceeded

CORPUS = Path(__file__).parents[4] / "shared" / "data" / "json-test-suite.jsonl"
SHAPES = [(codec, event) for codec in CODECS.values() for event in codec._by_type.values()]
EVERY = pytest.mark.parametrize(("codec", "event"), SHAPES, ids=lambda shape: getattr(shape, "__name__", ""))

Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reason(value: bytes | None, codec: Codec[Any] = RUN_EVENTS) -> str:
    """Say why a record is none of the codec's events."""
    decoded = codec.decode(value)
    assert isinstance(decoded, Malformed)
    return decoded.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "the value is null: send a JSON object"),
        (b"", "not JSON: "),
        (b"{", "not JSON: "),
        (b"\xff", "not JSON: "),
        (b'{"a": NaN}', "not JSON: "),
        (b"null", "not a JSON object but null"),
        (b"true", "not a JSON object but a boolean"),
        (b"1", "not a JSON object but a number"),
        (b"1.5", "not a JSON object but a number"),
        (b'"text"', "not a JSON object but a string"),
        (b"[]", "not a JSON object but an array"),
        (b"{}", "type (null) is not read here; known: approval.given, "),
        (b'{"type": null}', "type (null) is not read here"),
        (b'{"type": {"a": 1}}', "type (an object) is not read here"),
        (b'{"type": "no.such"}', "type 'no.such' is not read here"),
    ],
)
def test_whatever_is_no_event_says_why(value: bytes | None, expected: str) -> None:
    """The reason is for the person who wrote the record."""
    assert reason(value).startswith(expected)


def test_a_wrong_type_is_quoted_in_part() -> None:
    """The reason goes into a header: neither a type of a megabyte is repeated there nor one nested a thousand deep."""
    assert len(reason(orjson.dumps({"type": "x" * 1_000_000}))) < 500
    assert len(reason(b'{"type": %s1%s}' % (b"[" * 1000, b"]" * 1000))) < 500


def test_every_fault_is_named_with_its_field_and_none_with_its_value() -> None:
    """A value may be large or secret."""
    text = reason(b'{"type": "plan.created", "turn": 0, "calls": [{"call_id": "\\n", "tool": 5}], "text": ["secret"]}')
    for part in ("correlation_id: Field required", "turn: ", "calls.0.call_id: ", "calls.0.tool: ", "and 1 more"):
        assert part in text
    assert text.count(";") == MAX_PROBLEMS
    assert "secret" not in text


def test_a_request_needs_no_type() -> None:
    """The smallest request is `{"prompt": "..."}`; a type, when there is one, must be right."""
    decoded = REQUESTS.decode(b'{"prompt": "hello"}')
    assert isinstance(decoded, RequestSubmitted)
    assert "'run.finished' is not read here" in reason(b'{"type": "run.finished", "prompt": "hello"}', REQUESTS)
    assert isinstance(TURNS.decode(b'{"prompt": "hello"}'), Malformed)


def test_another_major_version_is_not_read() -> None:
    """A new meaning of old fields must not be taken for the old one."""
    assert "v: Input should be 1" in reason(b'{"prompt": "hello", "v": 2}', REQUESTS)


def test_unknown_fields_are_ignored_at_every_level() -> None:
    """Writers may be newer than readers."""
    value = {"type": "plan.created", "correlation_id": "r", "turn": 1, "new": 1, "usage": {"new": 1, "input_tokens": 3}}
    decoded = RUN_EVENTS.decode(orjson.dumps(value))
    assert isinstance(decoded, PlanCreated)
    assert decoded.usage.input_tokens == 3
    assert b"new" not in encode(decoded)


def test_an_event_is_written_in_utc_and_in_the_order_of_its_fields() -> None:
    """Equal events give equal bytes: responses are compared byte for byte."""
    outcome = {"result": 1, "call_id": "c", "correlation_id": "r", "started_at": "2026-11-23T12:00:00Z"}
    decoded = RUN_EVENTS.decode(orjson.dumps({**outcome, "type": "tool_call.succeeded"}))
    assert isinstance(decoded, ToolCallSucceeded)
    reordered = RUN_EVENTS.decode(orjson.dumps({"type": "tool_call.succeeded", **dict(reversed(outcome.items()))}))
    assert isinstance(reordered, ToolCallSucceeded)
    assert encode(decoded) == encode(reordered)
    assert b'"started_at":"2026-11-23T12:00:00Z"' in encode(decoded)


@given(st.sampled_from(SHAPES), st.data())
def test_an_event_survives_its_bytes(shape: tuple[Codec[Event], type[Event]], data: st.DataObject) -> None:
    """What is written is what is read, whatever JSON is in it."""
    codec, event = shape
    decoded = codec.decode(orjson.dumps({**EXAMPLES[_type(event)], **data.draw(free_form(event))}))
    assert isinstance(decoded, event), decoded
    assert codec.decode(encode(decoded)) == decoded


@EVERY
@settings(max_examples=25)  # of each of the events
@given(value=st.dictionaries(st.text(), Json, max_size=6), text=st.text(max_size=300))
def test_decoding_never_raises_whatever_the_fields_hold(
    codec: Codec[Event], event: type[Event], value: dict[str, Any], text: str
) -> None:
    """Any object of any type is an event or malformed; what is an event can be written."""
    for fields in (value, dict.fromkeys(event.model_fields, text), {**EXAMPLES[_type(event)], **value}):
        decoded = codec.decode(orjson.dumps({**fields, "type": _type(event)}))
        assert isinstance(decoded, event | Malformed)
        if isinstance(decoded, event):
            encode(decoded)


@given(
    st.sampled_from(list(CODECS)),
    st.one_of(st.binary(), st.text().map(str.encode), Json.map(orjson.dumps)),
)
def test_decoding_never_raises_whatever_the_bytes_are(topic: str, value: bytes) -> None:
    """A poisonous record is a value, never a crash."""
    decoded = CODECS[topic].decode(value)
    assert isinstance(decoded, Event | Malformed)


@pytest.mark.parametrize(
    "place", [b"%s", b'{"type":%s}', b'{"prompt":"x","metadata":{"a":%s}}', b'{"correlation_id":%s}']
)
@pytest.mark.parametrize("levels", [100, 253, 254, 255, 500, 1000, 1022, 1023, 1024, 1025, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
def test_nesting_of_any_depth_is_a_value(place: bytes, levels: int, opening: bytes, closing: bytes) -> None:
    """Neither the reader's limit nor Python's stack shows through."""
    value = place % (opening * levels + b"1" + closing * levels)
    assert isinstance(REQUESTS.decode(value), Malformed)
    assert isinstance(RUN_EVENTS.decode(value), Malformed)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_file(), reason=f"no corpus of JSON texts in {CORPUS}")
def test_the_published_json_texts_are_read_as_they_should_be() -> None:
    """What must be refused is refused with a reason, what must be accepted is read, and the rest is one of the two."""
    texts = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    assert len(texts) > 300
    for text in texts:
        value = base64.b64decode(text["base64"])
        for codec in CODECS.values():
            decoded = codec.decode(value)
            assert isinstance(decoded, Malformed), text["name"]
            if text["expect"] == "reject":
                assert decoded.reason.startswith("not JSON"), text["name"]
            if text["expect"] == "accept":
                assert not decoded.reason.startswith("not JSON"), text["name"]
        # As part of an event: it is kept as it was, or the event is malformed.
        outcome = RUN_EVENTS.decode(
            b'{"type":"tool_call.succeeded","correlation_id":"r","call_id":"c","result":' + value + b"}"
        )
        if isinstance(outcome, ToolCallSucceeded):
            assert RUN_EVENTS.decode(encode(outcome)) == outcome
        else:
            assert text["expect"] != "accept", (text["name"], outcome)


def _type(event: type[Event]) -> str:
    return str(event.model_fields["type"].default)


def free_form(event: type[Event]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw values for the fields of an event that hold any JSON or any text."""
    anything: dict[str, st.SearchStrategy[Any]] = {
        "result": Json,
        "metadata": st.dictionaries(st.text(), Json, max_size=3),
        "arguments": st.dictionaries(st.text(), Json, max_size=3),
        "text": st.text(),
        "answer": st.none() | st.text(),
        "reason": st.none() | st.text(),
    }
    return st.fixed_dictionaries({}, optional={name: anything[name] for name in anything if name in event.model_fields})


EXAMPLES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in (Path(__file__).parents[3] / "schemas" / "examples").glob("*.json")
}
"""The project's own example of each type."""
