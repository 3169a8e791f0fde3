"""Promises of `Template`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.llm.template import FailedResult, Template, TemplateError

VALUES: dict[str, Any] = {
    "n": "17",
    "text": "a {n} b",
    "empty": "",
    "prompt": "all of it",
    "results": [
        {"time": "12:00", "parts": [1, {"deep": True}], "none": None},
        391,
        "plain",
        FailedResult("it broke"),
        2.5,
        [1, 2],
    ],
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no placeholder", "no placeholder"),
        ("", ""),
        ("{n}", "17"),
        ("<{n}> and <{n}>", "<17> and <17>"),
        ("{{n}} {{{n}}}", "{n} {17}"),
        ("{prompt}", "all of it"),
        ("{empty}", ""),
        ("{results[1]}", "391"),
        ("{results[2]}", "plain"),
        ("{results[0][time]}", "12:00"),
        ("{results[0][parts][1][deep]}", "true"),
        ("{results[0][none]}", "null"),
        ("{results[5]}", "[1, 2]"),
        ("{results[5][-1]}", "2"),
        ("{results[0]}", '{"time": "12:00", "parts": [1, {"deep": true}], "none": null}'),
        ("{n:int}", 17),
        ("{n:float}", 17.0),
        ("{n:json}", 17),
        ("{results[1]:int}", 391),
        ("{results[4]:float}", 2.5),
        ("{results[0]:json}", VALUES["results"][0]),
        ("{results[0][none]:json}", None),
        ("n={n:int}", "n=17"),
        ("n={n:float}", "n=17.0"),
    ],
)
def test_placeholders_are_filled_in(text: str, value: object) -> None:
    """Text stays text; a lone placeholder with a type is of that type."""
    rendered = Template.parse(text).render(VALUES)
    assert rendered == value
    assert type(rendered) is type(value)


def test_what_is_filled_in_is_not_a_template() -> None:
    """A prompt with braces stays as it is."""
    assert Template.parse("{text}").render(VALUES) == "a {n} b"


def test_a_failed_call_appears_as_its_message() -> None:
    """Whatever is looked up in it, as text or JSON, alone or in the list of all; it is no number, though."""
    for text in ("{results[3]}", "{results[3][time]}", "{results[3][0][x]}", "{results[3]:json}"):
        assert Template.parse(text).render(VALUES) == "it broke"
    assert Template.parse("{results:json}").render(VALUES)[3] == "it broke"
    assert '"it broke"' in Template.parse("{results}").render(VALUES)
    with pytest.raises(TemplateError, match="it broke"):
        Template.parse("{results[3]:int}").render(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        "{results.append}",
        "{prompt.__class__}",
        "{prompt.__class__.__mro__[1]}",
        "{results[0].__class__}",
        "{0}",
        "{}",
        "{ n }",
        "{n!r}",
        "{n!s:int}",
        "{n:999999999}",
        "{n:>{n}}",
        "{n:%Y}",
        "{n:bool}",
        "{n",
        "n}",
        "{n]}",
        "{n[}",
        "{n[]}",
        "{n[[0]]}",
        "{n-1}",
        "{n()}",
    ],
)
def test_nothing_but_names_keys_and_types_can_be_written(text: str) -> None:
    """No attributes, no widths, no conversions: the error says what can be written."""
    with pytest.raises(TemplateError) as raised:
        Template.parse(text)
    assert any(hint in str(raised.value) for hint in ("{name}", ":int, :float and :json", "{{ and }}"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{nobody}", "there is no 'nobody' here"),
        ("{results[9]}", r"there is no \[9\]"),
        ("{results[0][missing]}", r"there is no \[missing\]"),
        ("{results[0][__class__]}", r"there is no \[__class__\]"),
        ("{results[0.__class__]}", r"there is no \[0.__class__\]"),
        ("{results[x]}", r"there is no \[x\]"),
        ("{results[1][0]}", r"there is no \[0\] in 391"),
        ("{prompt[0]}", r"there is no \[0\]"),
        ("{text:int}", "is not a whole number of at most 64 bits"),
        ("{empty:int}", "is not a whole number"),
        ("{text:float}", "is not a number"),
        ("{text:json}", "is not JSON"),
        ("r={results[2]:json}!", '"plain" is not JSON'),
        ("{results[4]:int}", "2.5 is not a whole number"),
        ("{results[0]:float}", "is not a number"),
    ],
)
def test_what_cannot_be_filled_in_is_a_clear_error(text: str, reason: str) -> None:
    """The error names the placeholder and the value."""
    with pytest.raises(TemplateError, match=reason):
        Template.parse(text).render(VALUES)


@pytest.mark.parametrize(
    ("conversion", "text"),
    [
        ("int", "9223372036854775808"),
        ("int", "9" * 10_000),
        ("int", "1_000"),
        ("int", "0x10"),
        ("int", "\u0661\u0667"),
        ("int", "true"),
        ("float", "nan"),
        ("float", "inf"),
        ("float", "1e999"),
        ("float", "1_0.0"),
        ("json", "NaN"),
        ("json", "1e999"),
        ("json", "[" * 100_000),
        ("json", "[" * 100 + "]" * 100),
        ("json", '"\\ud800"'),
    ],
)
def test_a_prompt_cannot_smuggle_in_what_is_not_json(conversion: str, text: str) -> None:
    """What `:int`, `:float` and `:json` let through can be written on the wire."""
    with pytest.raises(TemplateError):
        Template.parse(f"{{x:{conversion}}}").render({"x": text})


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_of_64_bits_survives(number: int) -> None:
    """As text and as a number."""
    assert Template.parse("{x:int}").render({"x": str(number)}) == number
    assert Template.parse("{x:int}").render({"x": number}) == number


@given(st.text())
def test_any_text_is_a_template_or_a_clear_error(text: str) -> None:
    """Doubling the braces makes any text stand for itself."""
    try:
        Template.parse(text)
    except TemplateError as error:
        assert str(error)  # noqa: PT017 - both ways out are fine
    assert Template.parse(text.replace("{", "{{").replace("}", "}}")).render({}) == text


@given(st.text())
def test_any_value_is_filled_in_unchanged(value: str) -> None:
    """No text of a prompt is special."""
    assert Template.parse("<{x}>").render({"x": value}) == f"<{value}>"
