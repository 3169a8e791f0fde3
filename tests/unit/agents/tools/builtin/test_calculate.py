"""Promises of the tool `calculate`."""

from __future__ import annotations

import math
import time

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agents.tools.builtin.calculate import MAX_DEPTH, MAX_LENGTH, CalculationError, calculate, evaluate
from tests.support.call_context import CONTEXT


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        (" 17*23 ", 391),
        ("7 / 2", 3.5),
        ("6 / 2", 3.0),
        ("7 // 2", 3),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("-2 ** 2", -4),
        ("1 ** 10**9", 1),
        ("(-1) ** (10**9 + 1)", -1),
        ("(-1) ** 10**9", 1),
        ("0 ** 10**9", 0),
        ("+-+5", -5),
        ("1_000 + 0x10", 1016),
        ("1e3", 1000.0),
        ("sqrt(16)", 4.0),
        ("abs(-3)", 3),
        ("round(2.567, 2)", 2.57),
        ("round(2.5)", 2),
        ("round(1234, -2)", 1200),
        ("min(3, 1, 2) + max(4)", 5),
        ("floor(-1.5) + ceil(1.2)", 0),
        ("log(e) + log10(100) + log(8, 2)", 6.0),
        ("exp(0) + sin(0) + cos(0) + tan(0)", 2.0),
        ("tau / pi", 2.0),
    ],
)
def test_arithmetic_is_right(expression: str, value: float) -> None:
    """Values are Python's, and so are their types: an integer stays one."""
    result = evaluate(expression)
    assert result == pytest.approx(value)
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("log(4, 1)", "division by zero"),
        ("sqrt(-1)", "sqrt is not defined for -1"),
        ("log(0)", "log is not defined for 0"),
        ("(-8) ** 0.5", "not a real number"),
        ("9**9**9", "too large"),
        ("9**9**9**9", "too large"),
        ("10**1000", "too large"),
        ("10**999 * 10", "too large"),
        ("9" * 990 + "** 9", "too large"),
        ("2.0 ** 10000", "too large"),
        ("exp(1000)", "too large"),
        ("1e308 * 10", "too large"),
        ("1e999", "too large"),
        ("10**900 * 1.5", "too large"),
        ("sqrt(10**900)", "too large"),
        ("round(5, -10**9)", "second argument of round"),
        ("round(5, 1.5)", "second argument of round"),
        ("2 ^ 3", r"write \*\*"),
        ("1,000 + 1", "write 1000, not 1,000"),
        ("", "not an arithmetic expression"),
        ("1 +", "not an arithmetic expression"),
        ("1\x002", "not an arithmetic expression"),
        ("2 apples", "not an arithmetic expression"),
        ("x + 1", "unknown name 'x'"),
        ("__import__", "unknown name '__import__'"),
        ("__import__('os')", "unknown function '__import__'"),
        ("().__class__", "attribute access is not arithmetic"),
        ("(1).__class__.__bases__", "attribute access"),
        ("pi.real", "attribute access"),
        ("abs.__self__", "attribute access"),
        ("sqrt(x=1)", "this kind of call"),
        ("sqrt(*[1])", "not arithmetic"),
        ("(lambda: 1)()", "this kind of call"),
        ("[1][0]", "an index"),
        ("[1 for x in 1]", "ListComp"),
        ("1 < 2", "a comparison"),
        ("1 and 2", "a logical operator"),
        ("~1", "UnaryOp"),
        ("1 << 1000000000", "BinOp"),
        ("True + 1", "True is not a number"),
        ("'a' * 1000000000", "'a' is not a number"),
        ("3j", "3j is not a number"),
        ("f'{1}'", "JoinedStr"),
        ("... + 1", "Ellipsis is not a number"),
        ("(y := 1)", "NamedExpr"),
        ("sqrt()", r"sqrt takes 1 argument\(s\), not 0"),
        ("log(1, 2, 3)", r"log takes 1 to 2 argument\(s\), not 3"),
        ("sqrt", "unknown name 'sqrt'"),
        ("pi(1)", "unknown function 'pi'"),
    ],
)
def test_what_has_no_value_is_a_clear_error(expression: str, reason: str) -> None:
    """No other exception leaves, nothing is evaluated that is not arithmetic."""
    with pytest.raises(CalculationError, match=reason):
        evaluate(expression)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(" * 499 + "1" + ")" * 499, "not an arithmetic expression"),
        ("-" * 999 + "1", "nested deeper than 64 levels|cannot be parsed"),
        ("+".join("1" * 500), "nested deeper than 64 levels"),
        ("sqrt(" * 100 + "1" + ")" * 100, "nested deeper than 64 levels"),
        ("2**" * 300 + "2", "nested deeper than 64 levels"),
        ("[" * 900, "not an arithmetic expression"),
        ("9" * 10_000, "10000 characters"),
        ("1+" * 5_000 + "1", "10001 characters"),
    ],
    ids=lambda text: f"{text[:6]}...",
)
def test_depth_and_length_are_bounded(expression: str, reason: str) -> None:
    """Neither the parser's stack nor ours can be exhausted."""
    with pytest.raises(CalculationError, match=reason):
        evaluate(expression)


def test_depth_up_to_the_limit_is_fine() -> None:
    """A long sum is as deep as it has terms; parentheses alone add no depth."""
    assert evaluate("+".join("1" * MAX_DEPTH)) == MAX_DEPTH
    assert evaluate("(" * 150 + "1" + ")" * 150) == 1


ATOMS = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.floats(0, 1e308, allow_nan=False).map(repr),
    st.sampled_from(["pi", "e", "tau", "9**9", "10**300", "0"]),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "//", "%", "**"]), inner).map(
            lambda parts: f"({parts[0]}){parts[1]}({parts[2]})",
        ),
        st.tuples(
            st.sampled_from(["sqrt", "abs", "round", "floor", "ceil", "log", "log10", "exp", "sin", "cos", "tan"]),
            inner,
        ).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(st.sampled_from(["min", "max", "log", "round"]), inner, inner).map(
            lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})",
        ),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
@example("round(10**300, -(10**9))")
def test_any_arithmetic_ends_soon_in_a_finite_number_or_a_clear_error(expression: str) -> None:
    """Whatever is nested into whatever."""
    start = time.process_time()
    try:
        result = evaluate(expression)
    except CalculationError:
        pass
    else:
        assert type(result) in {int, float}
        assert math.isfinite(result) if isinstance(result, float) else len(str(abs(result))) <= 1_000
    assert time.process_time() - start < 0.5


@given(st.text(max_size=200))
@example("__builtins__")
@example("\ud800")
@example("0" * 200)
def test_any_text_is_a_number_or_a_clear_error(text: str) -> None:
    """Hostile or not."""
    try:
        evaluate(text)
    except CalculationError as error:
        assert len(str(error)) < 500  # noqa: PT017 - both ways out are fine


async def test_integers_beyond_64_bits_are_text() -> None:
    """Exact as long as JSON readers are: beyond that the digits come as text, and the result can be written."""
    assert await calculate.run({"expression": "2**63 - 1"}, CONTEXT) == 2**63 - 1
    assert await calculate.run({"expression": "-2**63"}, CONTEXT) == -(2**63)
    assert await calculate.run({"expression": "2**63"}, CONTEXT) == "9223372036854775808"
    assert await calculate.run({"expression": "10**999"}, CONTEXT) == "1" + "0" * 999
    assert orjson.dumps(await calculate.run({"expression": "7/2"}, CONTEXT)) == b"3.5"


def test_the_length_is_part_of_the_schema() -> None:
    """A model sees the limit, and the planner refuses what is longer without running it."""
    assert calculate.check({"expression": "1" * MAX_LENGTH}) is None
    assert calculate.check({"expression": "1" * (MAX_LENGTH + 1)}) is not None
    assert calculate.check({"expression": ""}) is not None
    assert calculate.check({"expression": 5}) is not None
