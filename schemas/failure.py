"""Why a call or a run did not succeed: `{code, message, retryable}` with a closed list of codes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from schemas.base import Bool, Model

MAX_MESSAGE_CHARACTERS = 4_000
"""How much of a message is kept. It goes into rows, turns and the response, which have to fit into a record."""


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"


class FailureCode(StrEnum):
    """The closed list of codes. docs/failure-codes.md says what a reader should do about each."""

    INVALID_REQUEST = "invalid_request"
    REQUEST_TOO_LARGE = "request_too_large"
    UNKNOWN_TOOL = "unknown_tool"
    INVALID_ARGUMENTS = "invalid_arguments"
    TOOL_FAILED = "tool_failed"
    TOOL_TIMED_OUT = "tool_timed_out"
    RESULT_NOT_JSON = "result_not_json"
    RESULT_TOO_LARGE = "result_too_large"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    DEPENDENCY_FAILED = "dependency_failed"
    MODEL_FAILED = "model_failed"
    MODEL_UNKNOWN = "model_unknown"
    INVALID_PLAN = "invalid_plan"
    MAX_TURNS_REACHED = "max_turns_reached"
    INTERNAL_ERROR = "internal_error"


class Failure(Model):
    """What went wrong, for a program (`code`), for a person (`message`), and whether the same try may succeed later.

    A message longer than `MAX_MESSAGE_CHARACTERS` is cut when it is read.
    """

    code: FailureCode
    message: Annotated[str, AfterValidator(_cut)]
    retryable: Bool = False
