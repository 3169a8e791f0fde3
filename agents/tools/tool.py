"""A tool: what a model is told about it, and how it is run.

Made of a typed function:

    @tool(timeout_ms=2_000)
    def add(a: int, b: int) -> int:
        '''Add two numbers.'''
        return a + b
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, overload

import pydantic

from agents.tools.arguments import ArgumentSchema, joined
from agents.tools.call_context import CallContext
from agents.tools.errors import InvalidArguments, ToolDeclarationError, ToolError, ToolFailed
from agents.tools.result import as_json
from agents.tools.signature import Signature
from agents.tools.thread import ToolThreads
from schemas.base import Json
from schemas.failure import Failure
from schemas.tool_spec import ToolSpec

__all__ = ["CallContext", "Tool", "ToolError", "ToolFailed", "tool"]

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A tool that can be run. Made by `@tool` or `Tool.declare`.

    `source` says where it was declared (module and function), for messages.
    """

    spec: ToolSpec
    source: str
    _arguments: ArgumentSchema
    _signature: Signature | None
    _execute: Callable[[dict[str, Any], CallContext], Awaitable[object]]

    @property
    def name(self) -> str:
        """The name a model calls it by."""
        return self.spec.name

    def check(self, arguments: Json) -> Failure | None:
        """Say why `arguments` (any JSON value) cannot be run, without running; None when they can.

        Nothing is coerced: `"5"` is not 5. The message names the JSON path.
        """
        problems = self._arguments.problems(arguments)
        if problems is None and self._signature is not None:
            problems = self._signature.problems(arguments)
        return None if problems is None else InvalidArguments(tool=self.name, reason=problems).failure()

    async def run(self, arguments: Json, context: CallContext) -> Json:
        """Validate `arguments`, run the tool and return its result as plain JSON.

        Raises `InvalidArguments`, `ResultNotJson`, or what the tool raises. Sync functions run in a thread. A time
        limit is the caller's business: cancelling stops an async function, but only stops waiting for a sync one.
        """
        problems = self._arguments.problems(arguments)
        if problems is not None:
            raise InvalidArguments(tool=self.name, reason=problems)
        return as_json(self.name, await self._contained(self._execute(self._bound(arguments), context)))

    async def _contained(self, execution: Awaitable[object]) -> object:
        """Await the tool; let nothing out that the caller would take for its own time limit, cancellation or end."""
        try:
            return await execution
        except TimeoutError as error:
            raise ToolFailed(reason=f"{self.name} gave up waiting ({error!r})", retryable=True) from error
        except SystemExit as error:
            # It would end the worker, which would be given the same call again after its restart.
            raise ToolFailed(reason=f"{self.name} tried to end the process: {error!r}") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ToolFailed(reason=f"{self.name} was cancelled from inside") from error

    def _bound(self, arguments: dict[str, Json]) -> dict[str, Any]:
        """Return the arguments as the function wants them: its own, because functions change what they are given."""
        if self._signature is None:
            return copy.deepcopy(arguments)
        try:
            return self._signature.bind(arguments)
        except pydantic.ValidationError:
            reason = self._signature.problems(arguments)
            raise InvalidArguments(tool=self.name, reason=reason) from None

    @classmethod
    def declare(cls, spec: ToolSpec | Mapping[str, Any], function: Function) -> Tool:
        """Make a tool from an explicit JSON Schema and a function that takes the arguments as one dict.

        `spec` is a `ToolSpec` or its fields; `function(arguments)` or `function(arguments, context)`, sync or async.
        Formats in the schema (date-time, email, ...) are enforced. Raises `ToolDeclarationError`.
        """
        checked = spec if isinstance(spec, ToolSpec) else _spec(**spec)
        schema = ArgumentSchema(checked.name, checked.parameters, assert_formats=True)
        takes_context = _takes_context(checked.name, function)

        def call(arguments: dict[str, Any], context: CallContext) -> Any:  # noqa: ANN401 - as the function
            return function(arguments, context) if takes_context else function(arguments)

        return cls(checked, _source(function), schema, None, _execution(checked.name, function, call))


@overload
def tool(function: Function, /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effectful: bool = False,
    timeout_ms: int | None = None,
    toolset: str = "default",
) -> Callable[[Function], Tool]: ...


def tool(function: Function | None = None, /, **options: Any) -> Tool | Callable[[Function], Tool]:
    """Make a tool of a typed function, as `@tool` or `@tool(name=..., effectful=True, timeout_ms=..., toolset=...)`.

    The name is the function's unless given, the description its docstring, the JSON Schema comes from its annotations
    (`Annotated[int, Field(description="...")]` describes a parameter). A parameter annotated `CallContext` receives
    the call's context and is not shown to the model. Raises `ToolDeclarationError` when the signature cannot be
    described.
    """
    if function is None:
        return functools.partial(_from_function, **options)
    return _from_function(function)


def _from_function(
    function: Function,
    *,
    name: str | None = None,
    description: str | None = None,
    effectful: bool = False,
    **rest: Any,  # noqa: ANN401 - checked by ToolSpec
) -> Tool:
    """Make a tool of a typed function."""
    name = getattr(function, "__name__", repr(function)) if name is None else name
    signature = Signature.of(name, function)
    spec = _spec(
        name=name,
        description=(inspect.getdoc(function) or "") if description is None else description,
        parameters=signature.schema(),
        effect="effectful" if effectful else "pure",
        **rest,
    )

    def call(arguments: dict[str, Any], context: CallContext) -> Any:  # noqa: ANN401 - as the function
        return function(**arguments, **dict.fromkeys(signature.contexts, context))

    schema = ArgumentSchema(name, spec.parameters)
    return Tool(spec, _source(function), schema, signature, _execution(name, function, call))


def _execution(
    name: str,
    function: Function,
    call: Callable[[dict[str, Any], CallContext], Any],
) -> Callable[[dict[str, Any], CallContext], Awaitable[object]]:
    """Return how `call` is awaited: directly when `function` is async, else in a thread."""
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004 - an object may be async in its __call__
        return call
    threads = ToolThreads(name)

    async def execute(arguments: dict[str, Any], context: CallContext) -> object:
        result = await threads.run(functools.partial(call, arguments, context))
        # A sync function may hand back an awaitable (a lambda around an async function does).
        return await result if inspect.isawaitable(result) else result

    return execute


def _spec(**fields: Any) -> ToolSpec:  # noqa: ANN401 - checked here
    """Return the checked specification; unknown options are errors, though unknown fields on the wire are not."""
    name = fields.get("name", "?")
    if unknown := sorted(fields.keys() - ToolSpec.model_fields.keys()):
        raise ToolDeclarationError(tool=name, reason=f"unknown option {', '.join(unknown)}")
    try:
        return ToolSpec.model_validate(fields)
    except pydantic.ValidationError as error:
        reason = joined((details["loc"], details["msg"]) for details in error.errors(include_url=False))
        raise ToolDeclarationError(tool=repr(name), reason=reason) from None


def _takes_context(name: str, function: Function) -> bool:
    """Tell whether `function` takes the context after the arguments; raise when it takes neither one nor two values."""
    signature = inspect.signature(function)
    for values in (2, 1):
        try:
            signature.bind(*[None] * values)
        except TypeError:
            continue
        return values == 2  # noqa: PLR2004 - arguments and context
    raise ToolDeclarationError(tool=name, reason="its function must take (arguments) or (arguments, context)")


def _source(function: Function) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
