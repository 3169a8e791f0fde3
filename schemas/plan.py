"""What a model decided in one turn: calls, an answer, or neither because it failed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Bool, Event, Id, Int, JsonValue, Model
from schemas.failure import Failure
from schemas.run import Usage
from schemas.tool_spec import Effect

MAX_CALLS = 1000
"""How many calls a run may make, over all its turns: its response has to fit into a record."""


class PlannedCall(Model):
    """One call of a plan.

    `dispatched`: the planner has published it already. `error` is set when it can never run (unknown tool, arguments
    that do not fit): it counts as failed from the start and the model sees why. `arguments` is an object unless the
    model wrote something else, which is then the error. `needs` are the ids of the calls whose results its arguments
    refer to (`schemas.reference`): it is published when all of them have succeeded.
    """

    call_id: Id
    tool: str
    arguments: JsonValue
    effect: Effect = "pure"
    needs: tuple[Id, ...] = ()
    dispatched: Bool = False
    error: Failure | None = None


class PlanCreated(Event):
    """A turn is planned: `calls` in the order the model made them, `text` as the model wrote it.

    Without calls the text is the run's answer. The first plan of a turn wins; a later one is ignored.
    """

    type: Literal["plan.created"] = "plan.created"
    correlation_id: Id
    turn: Annotated[Int, Field(ge=1)]
    calls: tuple[PlannedCall, ...] = ()
    text: str | None = None
    model: str = ""
    usage: Usage = Usage()


class PlanFailed(Event):
    """The model gave no plan for this turn, for the reason in `error`."""

    type: Literal["plan.failed"] = "plan.failed"
    correlation_id: Id
    turn: Annotated[Int, Field(ge=1)]
    error: Failure
    usage: Usage = Usage()
