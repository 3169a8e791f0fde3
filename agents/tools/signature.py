"""A typed function's signature, as a JSON Schema and as the way from JSON arguments to Python values."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pydantic
from pydantic.json_schema import GenerateJsonSchema

from agents.tools.arguments import joined
from agents.tools.call_context import CallContext
from agents.tools.errors import ToolDeclarationError
from schemas.base import Json

_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class _PlainSchema(GenerateJsonSchema):
    """JSON Schema without titles, which repeat the names and cost the model tokens."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - pydantic's signature
        super().__init__(*args, **kwargs)
        # A default that JSON cannot write is left out of the schema; that is no reason to warn at every start.
        self.ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's signature
        return False


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a tool function. `contexts` are those that receive the `CallContext`."""

    model: type[pydantic.BaseModel]
    names: tuple[str, ...]
    contexts: tuple[str, ...]

    @classmethod
    def of(cls, tool: str, function: Callable[..., object]) -> Signature:
        """Describe `function`; raise `ToolDeclarationError` naming the parameter that cannot be described."""
        hints = _hints(tool, function)
        fields: dict[str, Any] = {}
        names: list[str] = []
        contexts: list[str] = []
        for name, parameter in inspect.signature(function).parameters.items():
            annotation = _annotation(tool, parameter, hints)
            if annotation is CallContext:
                contexts.append(name)
                continue
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            _describable(tool, name, annotation)
            # The field has a neutral name and the parameter's name as alias: a parameter called `json` or `_x` would
            # otherwise collide with pydantic's own attributes.
            fields[f"p{len(names)}"] = (typing.Annotated[annotation, pydantic.Field(alias=name)], default)
            names.append(name)
        config = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=False, protected_namespaces=())
        model = pydantic.create_model(tool, __config__=config, **fields)
        return cls(model, tuple(names), tuple(contexts))

    def schema(self) -> dict[str, Json]:
        """Return the JSON Schema of the arguments: type object, no other property allowed."""
        schema = self.model.model_json_schema(schema_generator=_PlainSchema)
        for described in (schema, *schema.get("$defs", {}).values()):
            described.pop("title", None)
        schema.setdefault("properties", {})
        return schema

    def bind(self, arguments: Mapping[str, Json]) -> dict[str, Any]:
        """Convert validated JSON arguments to the function's Python types; raise `pydantic.ValidationError`."""
        bound = self.model.model_validate(arguments)
        return {name: getattr(bound, f"p{index}") for index, name in enumerate(self.names)}

    def problems(self, arguments: Mapping[str, Json]) -> str | None:
        """Say what keeps `arguments` from becoming Python values although the schema allows them; None when nothing."""
        try:
            self.model.model_validate(arguments)
        except pydantic.ValidationError as error:
            return joined((details["loc"], details["msg"]) for details in error.errors(include_url=False))
        return None


def _hints(tool: str, function: Callable[..., object]) -> dict[str, Any]:
    """Return the function's annotations, with those written as text evaluated."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        reason = f"an annotation of {_where(function)} cannot be evaluated ({error}); define its type at module level"
        raise ToolDeclarationError(tool=tool, reason=reason) from None


def _annotation(tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any type
    """Return the annotation of a parameter that can be given by name."""
    if parameter.kind not in _NAMED:
        reason = f"parameter '{parameter}' takes any number of values or has no name; give each parameter a name"
        raise ToolDeclarationError(tool=tool, reason=reason)
    if parameter.name not in hints:
        reason = f"parameter '{parameter.name}' has no type annotation; write for example '{parameter.name}: str'"
        raise ToolDeclarationError(tool=tool, reason=reason)
    return hints[parameter.name]


def _describable(tool: str, name: str, annotation: Any) -> None:  # noqa: ANN401 - any type
    """Raise unless `annotation` has a JSON Schema; alone, because pydantic does not always say which field it means."""
    try:
        pydantic.TypeAdapter(annotation).json_schema(schema_generator=_PlainSchema)
    except pydantic.errors.PydanticUserError as error:
        reason = f"parameter '{name}' has a type without JSON Schema: {str(error).splitlines()[0].rstrip('.')}"
        raise ToolDeclarationError(tool=tool, reason=reason) from None


def _where(function: Callable[..., object]) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', repr(function))}"
