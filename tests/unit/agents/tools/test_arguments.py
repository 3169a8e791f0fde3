"""Promises about arguments: strict, and clear about what is wrong."""

from __future__ import annotations

from datetime import date
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.errors import InvalidArguments
from agents.tools.tool import Tool, tool
from schemas.failure import FailureCode
from tests.support.call_context import CONTEXT
from tests.unit.agents.tools.example_tool import ANY_OBJECT, describe


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"title": "a", "count": "5"}, "$.count"),
        ({"title": "a", "count": 5.5}, "$.count"),
        ({"title": "a", "count": True}, "$.count"),
        ({"title": "a", "count": None}, "$.count"),
        ({"title": 5, "count": 5}, "$.title"),
        ({"title": "", "count": 5}, "$.title"),
        ({"title": "a", "count": 5, "kind": "huge"}, "$.kind"),
        ({"title": "a", "count": 5, "points": [{"x": 1, "y": 2}, {"x": "1", "y": 2}]}, "$.points"),
        ({"title": "a", "count": 5, "surprise": 1}, "'surprise'"),
        ({"title": "a"}, '"count" is a required property'),
        ([], "$:"),
        ("text", "$:"),
        (None, "$:"),
        ({"title": "a", "count": 5, 7: 8}, "key"),
        ({"title": "a", "count": object()}, "object"),
    ],
)
async def test_arguments_are_never_coerced(arguments: Any, path: str) -> None:  # noqa: ANN401 - any JSON and worse
    """Whatever does not fit the schema is refused, the message says where, and running refuses it as checking does."""
    failure = describe.check(arguments)
    assert failure is not None
    assert failure.code is FailureCode.INVALID_ARGUMENTS
    assert not failure.retryable
    assert path in failure.message
    with pytest.raises(InvalidArguments, match="describe"):
        await describe.run(arguments, CONTEXT)


async def test_valid_arguments_arrive_as_python_types() -> None:
    """Nested models are built, defaults filled in, and 5.0 is the integer 5 as JSON Schema has it."""
    arguments = {"title": "t", "count": 5.0, "address": {"street": "s"}, "points": [{"x": 1, "y": 2.5}]}
    assert describe.check(arguments) is None
    result = await describe.run(arguments, CONTEXT)
    assert result == {"title": "t", "count": 5, "kind": "small", "street": "s", "points": 1}
    assert type(result["count"]) is int


async def test_what_the_schema_cannot_say_is_checked_too() -> None:
    """A date that is no date fits `type: string`, but is refused before anything runs."""

    @tool
    def age(born: date) -> str:
        return born.isoformat()

    failure = age.check({"born": "2026-02-30"})
    assert failure is not None
    assert "$.born" in failure.message
    with pytest.raises(InvalidArguments, match=r"\$\.born"):
        await age.run({"born": "2026-02-30"}, CONTEXT)
    assert await age.run({"born": "2026-02-28"}, CONTEXT) == "2026-02-28"


def test_messages_are_bounded() -> None:
    """A megabyte of wrong arguments is not quoted back."""
    failure = describe.check({"title": "a", "count": "9" * 1_000_000, **{f"x{n}" * 100: n for n in range(1000)}})
    assert failure is not None
    assert len(failure.message) < 3_000


def test_nesting_is_bounded() -> None:
    """Arguments deeper than can be written again are refused, however deep."""
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    anything = Tool.declare({"name": "anything", "parameters": ANY_OBJECT}, lambda arguments: arguments)
    failure = anything.check(deep)
    assert failure is not None
    assert "nested" in failure.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    arguments=st.one_of(
        JSON,
        st.fixed_dictionaries(
            {},
            optional={"title": JSON, "count": JSON, "kind": JSON, "address": JSON, "points": JSON, "at": JSON},
        ),
    ),
)
def test_check_agrees_with_the_published_schema(arguments: object) -> None:
    """A model that follows the schema it was shown is never refused, and one that does not always is."""
    fits = jsonschema_rs.is_valid(describe.spec.parameters, arguments)
    assert (describe.check(arguments) is None) == fits
