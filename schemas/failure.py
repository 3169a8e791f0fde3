"""Why a call or a run did not succeed: `{code, message, retryable}` with a closed list of codes."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Bool, Model


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
    MAX_TURNS_REACHED = "max_turns_reached"
    INTERNAL_ERROR = "internal_error"


class Failure(Model):
    """What went wrong, for a program (`code`), for a person (`message`), and whether the same try may succeed later."""

    code: FailureCode
    message: str
    retryable: Bool = False
