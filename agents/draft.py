"""The draft of a plan: takes the calls of a turn as the model seals them, names and checks them. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agents.llm.model import CallSealed
from agents.tools.registry import Registry
from agents.turn import Turn
from schemas.base import Json, bounded_depth
from schemas.errors import OrchestratorError
from schemas.failure import Failure, FailureCode
from schemas.ids import call_id, canonical_json
from schemas.plan import MAX_CALLS, PlannedCall
from schemas.reference import Reference, ReferenceInvalid, references_in, renamed

MAX_NAME_CHARACTERS = 128
"""How much is kept of the name of a tool that a model makes up. Tools' own names are not longer."""


class PlanInvalid(OrchestratorError):
    """The plan cannot be run: {problem}."""

    code = FailureCode.INVALID_PLAN
    retryable = False


class Draft:
    """The calls of one turn, in the order the model makes them."""

    def __init__(self, turn: Turn, registry: Registry) -> None:
        """Start empty. Calls of earlier turns can be referred to by their ids."""
        self._turn = turn
        self._registry = registry
        self._calls: list[PlannedCall | None] = []
        self._waiting: dict[int, CallSealed] = {}
        self._names = {call.call_id: call.call_id for earlier in turn.history for call in earlier.calls}
        self._room = MAX_CALLS - len(self._names)
        self._labels: set[str] = set()
        self._seen: Counter[bytes] = Counter()

    def take(self, sealed: CallSealed) -> PlannedCall | None:
        """Take a call; return it when it can be published at once: a pure tool, valid, and nothing to wait for.

        Raises `PlanInvalid` for one call too many or a label that is taken.
        """
        if len(self._calls) >= self._room:
            raise PlanInvalid(problem=f"the model made more than {MAX_CALLS:,} calls in one run; narrow the prompt")
        if sealed.label is not None:
            if sealed.label in self._labels or sealed.label in self._names:
                raise PlanInvalid(problem=f"two calls are named {sealed.label!r}")
            self._labels.add(sealed.label)
        arguments, fault = _recordable(sealed.arguments)
        if fault is None and any(references_in(arguments)):
            self._waiting[len(self._calls)] = sealed
            self._calls.append(None)
            return None
        call = self._named(sealed, arguments, (), fault)
        self._calls.append(call)
        return call if call.error is None and call.effect == "pure" else None

    def complete(self) -> Sequence[PlannedCall]:
        """Return all calls, those with references named now that everything they may refer to is.

        Raises `PlanInvalid` when calls refer to what is not there, or to each other in a circle.
        """
        while self._waiting:
            named = [index for index, sealed in self._waiting.items() if self._refers_to(sealed) <= self._names.keys()]
            if not named:
                raise PlanInvalid(problem=self._what_is_missing())
            for index in named:
                sealed = self._waiting.pop(index)
                needs = tuple(dict.fromkeys(self._names[one.call] for one in references_in(sealed.arguments)))
                self._calls[index] = self._named(sealed, renamed(sealed.arguments, self._names), needs, None)
        return [call for call in self._calls if call is not None]

    def _named(self, sealed: CallSealed, arguments: Json, needs: tuple[str, ...], fault: Failure | None) -> PlannedCall:
        called = sealed.tool[:MAX_NAME_CHARACTERS]
        content = canonical_json([called, arguments])
        name = call_id(self._turn.correlation_id, self._turn.turn, called, arguments, self._seen[content])
        self._seen[content] += 1
        if sealed.label is not None:
            self._names[sealed.label] = name
        tool = self._registry.get(called)
        offered = tuple(self._registry) if self._turn.request.tools is None else self._turn.request.tools
        if tool is None or called not in offered:
            error: Failure | None = _unknown_tool(called, offered)
        else:
            # What refers to a result can be checked only when the result is there: the tool's worker does.
            error = fault or (None if needs else tool.check(arguments))
        effect = tool.spec.effect if tool is not None else "pure"
        return PlannedCall(call_id=name, tool=called, arguments=arguments, effect=effect, needs=needs, error=error)

    def _refers_to(self, sealed: CallSealed) -> set[str]:
        return {reference.call for reference in references_in(sealed.arguments)}

    def _what_is_missing(self) -> str:
        wanted = {name for sealed in self._waiting.values() for name in self._refers_to(sealed)}
        unknown = sorted(wanted - self._names.keys() - self._labels)
        if unknown:
            return f"calls refer to {', '.join(map(repr, unknown))}, and no call is named so"
        return "calls refer to each other in a circle"


def _recordable(arguments: Json) -> tuple[Json, Failure | None]:
    """Return the arguments as they can be recorded: null, and why, when no record can hold them."""
    try:
        canonical_json(bounded_depth(arguments))
        list[Reference](references_in(arguments))
    except (TypeError, ValueError, ReferenceInvalid) as error:
        return None, Failure(code=FailureCode.INVALID_ARGUMENTS, message=f"the arguments cannot be used: {error}")
    return arguments, None


def _unknown_tool(name: str, known: Sequence[str]) -> Failure:
    message = f"no tool named {name!r} for this request; there are: {', '.join(sorted(known)) or 'none'}"
    return Failure(code=FailureCode.UNKNOWN_TOOL, message=message)
