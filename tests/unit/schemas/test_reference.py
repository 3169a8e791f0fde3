"""Promises of references: found wherever they stand, followed exactly, and clear about what is wrong with them."""

from __future__ import annotations

import pytest

from schemas.base import Json
from schemas.reference import PathMissing, Reference, ReferenceInvalid, references_in, renamed, replaced, value_at


def test_references_are_found_wherever_they_stand() -> None:
    """In objects, in lists, as a whole argument; anything else is an ordinary value."""
    arguments = {"a": {"$result": "x"}, "b": [1, {"c": {"$result": "y", "path": "/0"}}], "d": {"path": "/home"}}
    assert list(references_in(arguments)) == [Reference("x"), Reference("y", "/0")]
    assert replaced(arguments, lambda reference: reference.call) == {
        "a": "x",
        "b": [1, {"c": "y"}],
        "d": {"path": "/home"},
    }
    assert renamed(arguments, {"x": "1", "y": "2"})["a"] == {"$result": "1", "path": ""}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("", {"a": [10, {"b/c": 1, "d~e": 2, "": 3}]}),
        ("/a/0", 10),
        ("/a/1/b~1c", 1),
        ("/a/1/d~0e", 2),
        ("/a/1/", 3),
    ],
)
def test_a_path_is_followed_as_rfc_6901_says(path: str, value: Json) -> None:
    """With its two escapes, and empty names."""
    assert value_at({"a": [10, {"b/c": 1, "d~e": 2, "": 3}]}, Reference("x", path)) == value


@pytest.mark.parametrize("path", ["/b", "/a/2", "/a/-", "/a/01", "/a/x", "/a/0/0", "/a/-1"])
def test_a_path_that_leads_nowhere_says_where(path: str) -> None:
    """Never a null: a missing value must not look like one."""
    with pytest.raises(PathMissing, match="nothing at"):
        value_at({"a": [10, 20]}, Reference("x", path))


@pytest.mark.parametrize(
    "document", [{"$result": 5}, {"$result": ""}, {"$result": "x", "path": "a"}, {"$result": "x", "more": 1}]
)
def test_a_malformed_reference_is_refused(document: Json) -> None:
    """With what a right one looks like."""
    with pytest.raises(ReferenceInvalid, match=r'"\$result", a call'):
        list(references_in({"argument": document}))
