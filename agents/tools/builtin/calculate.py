"""The tool `calculate`: arithmetic on an expression, evaluated from its syntax tree and never by `eval`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field

from agents.tools.tool import ToolFailed, tool

Number = int | float

MAX_LENGTH: Final = 1_000
MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 1_000
_TOO_LARGE: Final = 10**MAX_DIGITS
# What a JSON reader with 64-bit integers (ours, and most of the world's) still takes as a number.
SMALLEST_JSON_INT: Final = -(2**63)
LARGEST_JSON_INT: Final = 2**63 - 1


class CalculationError(ToolFailed):
    """Cannot calculate: {reason}."""


def _power(base: Number, exponent: Number) -> Number:
    """Raise `base` to `exponent`; the size of an integer result is bounded before it is computed."""
    if isinstance(base, int) and isinstance(exponent, int):
        # A lower bound of the result's bits. It lets results of twice the allowed size through, which are then refused.
        bits = (base.bit_length() - 1) * exponent
        if bits > _TOO_LARGE.bit_length():
            raise _too_large()
    result = base**exponent
    if isinstance(result, complex):
        raise CalculationError(reason="an even root of a negative number is not a real number")
    return result


def _round(number: Number, digits: Number = 0) -> Number:
    """Round to `digits` decimal places (an integer; negative rounds left of the point); 0 gives an integer."""
    if not isinstance(digits, int) or abs(digits) > MAX_DIGITS:
        # round(5, -10**9) would first compute 10**10**9.
        raise CalculationError(reason=f"the second argument of round is an integer from -{MAX_DIGITS} to {MAX_DIGITS}")
    return round(number, digits) if digits else round(number)


_BINARY: Final[dict[type[ast.operator], Callable[[Number, Number], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Number], Number]]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_CONSTANTS: Final[dict[str, float]] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_UNBOUNDED: Final = 100
# name -> (function, fewest arguments, most arguments)
_FUNCTIONS: Final[dict[str, tuple[Callable[..., Number], int, int]]] = {
    "abs": (abs, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "cos": (math.cos, 1, 1),
    "exp": (math.exp, 1, 1),
    "floor": (math.floor, 1, 1),
    "log": (math.log, 1, 2),
    "log10": (math.log10, 1, 1),
    "max": (lambda *numbers: max(numbers), 1, _UNBOUNDED),
    "min": (lambda *numbers: min(numbers), 1, _UNBOUNDED),
    "round": (_round, 1, 2),
    "sin": (math.sin, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "tan": (math.tan, 1, 1),
}


@tool
async def calculate(
    expression: Annotated[
        str,
        Field(min_length=1, max_length=MAX_LENGTH, description="Arithmetic, for example `(3 + 4) * sqrt(2)`."),
    ],
) -> int | float | str:
    """Evaluate an arithmetic expression exactly.

    Operators: + - * / // % ** and parentheses. Functions: abs, ceil, cos, exp, floor, log, log10, max, min, round,
    sin, sqrt, tan (angles in radians). Constants: pi, e, tau. The result is a number; a whole number beyond 64 bits
    is its decimal digits as text, because a JSON number that long loses its last digits in most readers.
    """
    # Not a thread: the bounds above keep the worst expression under two milliseconds (measured), most far below one.
    result = evaluate(expression)
    if isinstance(result, int) and not SMALLEST_JSON_INT <= result <= LARGEST_JSON_INT:
        return str(result)
    return result


def evaluate(expression: str) -> Number:
    """Return the value of `expression`: a bounded integer or a finite float; else `CalculationError`."""
    if len(expression) > MAX_LENGTH:
        raise CalculationError(reason=f"the expression has {len(expression)} characters, the limit is {MAX_LENGTH}")
    return _value(_parse(expression.strip()), depth=1)


def _parse(expression: str) -> ast.expr:
    """Return the syntax tree of one expression."""
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        position = f" at character {error.offset}" if error.offset else ""
        raise CalculationError(reason=f"not an arithmetic expression: {error.msg}{position}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        # NUL characters, more nesting than the parser's stack, or an integer literal beyond Python's digit limit.
        raise CalculationError(reason="not an arithmetic expression: it cannot be parsed") from None


def _value(node: ast.expr, depth: int) -> Number:
    """Evaluate one node; anything that is not arithmetic is refused by name."""
    if depth > MAX_DEPTH:
        raise CalculationError(reason=f"the expression is nested deeper than {MAX_DEPTH} levels")
    match node:
        case ast.Constant(value=value):
            return _bounded(_literal(value))
        case ast.Name(id=name):
            return _constant(name)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _apply(_BINARY[type(op)], _value(left, depth + 1), _value(right, depth + 1))
        case ast.BinOp(op=ast.BitXor()):
            raise CalculationError(reason="^ is not a power here, write ** instead")
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            return _call(name, args, depth)
        case _:
            raise CalculationError(reason=f"{_spoken(node)} is not arithmetic; {_VOCABULARY}")


def _literal(value: object) -> Number:
    """Return a literal that is a real number; `True` is an `int` to Python, but not to arithmetic."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CalculationError(reason=f"{value!r:.40} is not a number")
    return value


def _constant(name: str) -> float:
    if name not in _CONSTANTS:
        raise CalculationError(reason=f"unknown name {name!r:.40}; {_VOCABULARY}")
    return _CONSTANTS[name]


def _call(name: str, args: list[ast.expr], depth: int) -> Number:
    """Call one of the known functions with evaluated arguments."""
    if name not in _FUNCTIONS:
        raise CalculationError(reason=f"unknown function {name!r:.40}; {_VOCABULARY}")
    function, fewest, most = _FUNCTIONS[name]
    if not fewest <= len(args) <= most:
        wanted = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        raise CalculationError(reason=f"{name} takes {wanted} argument(s), not {len(args)}")
    return _apply(function, *(_value(argument, depth + 1) for argument in args))


def _apply(function: Callable[..., Number], *operands: Number) -> Number:
    """Apply an operation; arithmetic that has no finite real result becomes an error that says so."""
    try:
        return _bounded(function(*operands))
    except ZeroDivisionError:
        raise CalculationError(reason="division by zero") from None
    except OverflowError:
        raise _too_large() from None
    except ValueError:
        shown = ", ".join(f"{operand:.6g}" if isinstance(operand, float) else f"{operand}"[:40] for operand in operands)
        raise CalculationError(reason=f"{function.__name__} is not defined for {shown}") from None


def _bounded(number: Number) -> Number:
    """Return `number` if it is finite and of bounded size."""
    if isinstance(number, float):
        if not math.isfinite(number):
            raise _too_large()
        return number
    if abs(number) >= _TOO_LARGE:
        raise _too_large()
    return number


def _too_large() -> CalculationError:
    return CalculationError(
        reason=f"a value is too large: integers may have {MAX_DIGITS} digits, decimal numbers reach about 1.8e308",
    )


def _spoken(node: ast.expr) -> str:
    """Name a kind of syntax the way a person would."""
    names = {
        ast.Attribute: "attribute access",
        ast.BoolOp: "a logical operator",
        ast.Call: "this kind of call",
        ast.Compare: "a comparison",
        ast.Lambda: "a lambda",
        ast.Subscript: "an index",
        ast.Tuple: "a comma outside a function's parentheses (write 1000, not 1,000)",
    }
    return names.get(type(node), f"{type(node).__name__} syntax")


_VOCABULARY: Final = (
    f"operators are + - * / // % **, functions {', '.join(_FUNCTIONS)}, constants {', '.join(_CONSTANTS)}"
)
