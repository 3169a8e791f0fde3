"""The port every model stands behind: one method that streams typed events.

Errors:

    ModelError
    |-- ModelUnknown       no provider of that name, or its settings are missing; terminal
    `-- ModelCallFailed    the provider or script failed; says whether to retry
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from schemas.base import Json
from schemas.errors import OrchestratorError
from schemas.failure import FailureCode
from schemas.run import Usage
from schemas.tool_spec import ToolSpec
from schemas.turn import TurnRecord


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a model is asked: the prompt, what happened in earlier turns, the tools it may call, and its name.

    `turn` counts from 1. `history` holds one record per earlier turn, in order.
    """

    prompt: str
    turn: int = 1
    history: tuple[TurnRecord, ...] = ()
    tools: Sequence[ToolSpec] = ()
    model: str = ""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The model began to write call number `index` (from 0) of this turn."""

    index: int
    tool: str


@dataclass(frozen=True, slots=True)
class CallSealed:
    """Call number `index` is complete. `arguments` is the parsed JSON value; anything but an object is invalid.

    `label` is what other calls of the turn refer to it by (`schemas.reference`), where the model gave it one.
    """

    index: int
    tool: str
    arguments: Json
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The turn is complete. `usage` counts the tokens of this turn; `model` is what the provider says it ran."""

    usage: Usage = field(default_factory=Usage)
    model: str = ""


ModelEvent: TypeAlias = TextDelta | CallStarted | CallSealed | Finished


class ChatModel(Protocol):
    """A model that can be asked for one turn."""

    def stream(self, conversation: Conversation) -> AsyncGenerator[ModelEvent, None]:
        """Stream one turn, ending with `Finished`. Raises `ModelError` and nothing else."""
        ...


class ModelError(OrchestratorError):
    """The model could not answer."""

    code: FailureCode = FailureCode.MODEL_FAILED
    retryable: bool = False


class ModelUnknown(ModelError):
    """No model '{name}' here: {reason}. Use provider:name, for example 'scripted'."""

    code = FailureCode.MODEL_UNKNOWN


class ModelCallFailed(ModelError):
    """Model {name} failed: {reason}."""

    def __init__(self, *, name: str, reason: str, retryable: bool = False) -> None:
        """Take whether the same call may succeed later beside the message's facts."""
        super().__init__(name=name, reason=reason)
        self.retryable = retryable
