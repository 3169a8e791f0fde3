"""The examples: one of each event, as realistic as they are valid."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.base import Event
from schemas.codec import Codec, Malformed, encode
from schemas.events import CODECS, REQUESTS
from schemas.ids import call_id
from schemas.request import RequestSubmitted

FOLDER = Path(__file__).parents[2] / "schemas" / "examples"
SMALLEST = "request.submitted.smallest"
READ_BY: dict[str, Codec[Event]] = {type_: codec for codec in CODECS.values() for type_ in codec.types}


def document(name: str) -> Any:  # noqa: ANN401 - free-form JSON
    """Read an example."""
    return orjson.loads((FOLDER / f"{name}.json").read_bytes())


def same_times(value: Any) -> Any:  # noqa: ANN401 - free-form JSON
    """Write every point in time in one way, so that `.004Z` and `.004000Z` compare equal."""
    match value:
        case dict():
            return {key: same_times(inner) for key, inner in value.items()}
        case list():
            return [same_times(inner) for inner in value]
        case str() if value.endswith("Z"):
            return datetime.fromisoformat(value).isoformat()
        case _:
            return value


def decoded(name: str, **more: object) -> Event:
    """Read an example as the codec of its topic does."""
    value = document(name)
    event = READ_BY[value["type"]].decode(orjson.dumps({**value, **more}))
    assert not isinstance(event, Malformed), event.reason
    return event


def test_every_type_has_exactly_one_example() -> None:
    """Whoever writes a program for an event finds one to look at, and none is of an event that is gone."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(f"{name}.json" for name in [*READ_BY, SMALLEST])
    for name in READ_BY:
        assert document(name)["type"] == name


@pytest.mark.parametrize("name", sorted(READ_BY))
def test_an_example_means_the_same_after_it_was_read_and_written(name: str) -> None:
    """Nothing of it is lost, and nothing is added that it does not say: it shows every field."""
    assert same_times(orjson.loads(encode(decoded(name)))) == same_times(document(name))


@pytest.mark.parametrize("name", sorted(READ_BY))
def test_an_example_with_fields_of_a_newer_writer_is_read_as_before(name: str) -> None:
    """Unknown fields are ignored, at the top and inside."""
    assert decoded(name, added_later={"by": "a newer writer"}) == decoded(name)


@pytest.mark.parametrize("name", sorted(READ_BY))
def test_an_example_is_written_for_people(name: str) -> None:
    """Indented, and free of what only a test would write."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "type": ')
    assert text.endswith("}\n")


def test_the_smallest_request_is_a_prompt() -> None:
    """It needs no type, no version and no id."""
    assert list(document(SMALLEST)) == ["prompt"]
    event = REQUESTS.decode(orjson.dumps(document(SMALLEST)))
    assert isinstance(event, RequestSubmitted)


def test_the_examples_tell_one_story() -> None:
    """They belong to one run, and the ids of its calls are those that the contract computes."""
    plan = document("plan.created")
    assert {document(name)["correlation_id"] for name in READ_BY} == {plan["correlation_id"]}
    for call in plan["calls"]:
        assert call["call_id"] == call_id(plan["correlation_id"], 1, call["tool"], call["arguments"], 0)
    named = {call["call_id"] for call in plan["calls"]}
    assert {document(name)["call_id"] for name in READ_BY if "call_id" in document(name)} <= named
