"""Promises of the ids: the same thing has the same name, wherever and whenever it is named."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import call_id, canonical_json, derived_correlation_id

Objects = st.dictionaries(st.text(max_size=5), st.none() | st.integers(-9, 9) | st.text(max_size=5), max_size=5)


def test_a_call_planned_again_has_its_old_id() -> None:
    """After a crash the model says the same again, and finds the calls that already ran."""
    assert call_id("run", 1, "add", {"a": 1, "b": 2}, 0) == call_id("run", 1, "add", {"b": 2, "a": 1}, 0)


def test_an_id_is_what_the_wire_contract_says() -> None:
    """A program in another language that follows docs/wire-contract.md finds the same id; so it may never change."""
    text = '["run",1,"add",{"a":[1,2.5,null],"é":"x"},0]'
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    assert call_id("run", 1, "add", {"é": "x", "a": [1, 2.5, None]}, 0) == expected
    assert expected == "341cf7287ec77d1e460679635aa81cc0"


@pytest.mark.parametrize(
    "other",
    [
        ("run2", 1, "add", {"a": 1}, 0),
        ("run", 2, "add", {"a": 1}, 0),
        ("run", 1, "sub", {"a": 1}, 0),
        ("run", 1, "add", {"a": 2}, 0),
        ("run", 1, "add", {"a": "1"}, 0),
        ("run", 1, "add", {}, 0),
        ("run", 1, "add", {"a": 1}, 1),
    ],
)
def test_another_call_has_another_id(other: tuple[str, int, str, Any, int]) -> None:
    """Run, turn, tool, arguments and how many equal ones came before: each counts."""
    assert call_id(*other) != call_id("run", 1, "add", {"a": 1}, 0)


def test_no_two_fields_run_together() -> None:
    """The parts are hashed as JSON and not as glued text."""
    assert call_id("a", 1, "bc", {}, 0) != call_id("ab", 1, "c", {}, 0)


def test_equal_calls_of_a_turn_are_numbered() -> None:
    """A model that rolls a die three times means three calls."""
    assert len({call_id("run", 1, "roll", {}, number) for number in range(3)}) == 3


@given(Objects, st.randoms(use_true_random=False))
def test_canonical_json_does_not_know_the_order_of_keys(value: dict[str, Any], random: Any) -> None:  # noqa: ANN401 - hypothesis' own
    """Equal values give equal bytes, at every level."""
    items = list(value.items())
    random.shuffle(items)
    assert canonical_json({"outer": dict(items)}) == canonical_json({"outer": value})


@given(Objects)
def test_canonical_json_is_json_without_white_space_and_with_sorted_keys(value: dict[str, Any]) -> None:
    """Any JSON library writes it."""
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert orjson.loads(canonical_json(value)) == value
    if all(ord(character) < 0xD800 and character.isprintable() for character in written):
        assert canonical_json(value).decode() == written


def test_a_request_without_a_name_is_named_after_its_place() -> None:
    """A redelivery lies in the same place, so it has the same id."""
    assert derived_correlation_id("requests", 3, 41) == "requests-3-41"
