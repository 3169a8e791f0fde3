"""What a record on `requests` is: a request to run, one to reject, or something nobody can be answered about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from schemas.base import MAX_ID_CHARACTERS, Id, Json
from schemas.codec import Malformed, rewritten_size
from schemas.events import REQUESTS
from schemas.failure import Failure, FailureCode
from schemas.ids import derived_correlation_id
from schemas.record import Record
from schemas.request import MAX_REQUEST_BYTES, RequestSubmitted

_ID: TypeAdapter[str] = TypeAdapter(Id)


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted request. `submitted_at` is broker time; the deadline counts from there."""

    correlation_id: str
    request: RequestSubmitted
    submitted_at: datetime
    deadline_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that cannot be run, from someone who can be told why."""

    correlation_id: str
    error: Failure
    submitted_at: datetime
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Unidentified:
    """Bytes that name no request: they go to `dead-letters` as they are."""

    reason: str


def read_submission(record: Record, default_timeout_ms: int) -> Submission | Rejection | Unidentified:
    """Read a record of `requests`. The id is the body's, else the key, else derived from the record's position.

    Planner and aggregator both call this and so agree on every record. A record that is not a JSON object and has no
    key is `Unidentified`: nobody could know the id an answer would carry.
    """
    decoded = REQUESTS.decode(record.value)
    size = rewritten_size(decoded, record.value) if isinstance(decoded, RequestSubmitted) else 0
    if isinstance(decoded, RequestSubmitted) and size <= MAX_REQUEST_BYTES:
        timeout = timedelta(milliseconds=decoded.timeout_ms or default_timeout_ms)
        return Submission(
            correlation_id=_identify(record, decoded.correlation_id) or _derive(record),
            request=decoded,
            submitted_at=record.at,
            deadline_at=record.at + timeout,
            traceparent=record.traceparent,
        )
    return _refused(record, decoded, size)


def _refused(record: Record, decoded: RequestSubmitted | Malformed, size: int) -> Rejection | Unidentified:
    if isinstance(decoded, RequestSubmitted):
        named = _identify(record, decoded.correlation_id) or _derive(record)
        reason = f"the request is {size:,} bytes, the limit is {MAX_REQUEST_BYTES:,}: shorten it or pass a reference"
        error = Failure(code=FailureCode.REQUEST_TOO_LARGE, message=reason)
    else:
        document = decoded.value if isinstance(decoded.value, dict) else None
        known = _identify(record, document.get("correlation_id") if document is not None else None)
        if known is None and document is None:
            return Unidentified(decoded.reason)
        named = known or _derive(record)
        error = Failure(code=FailureCode.INVALID_REQUEST, message=decoded.reason)
    return Rejection(named, error, record.at, record.traceparent)


def _identify(record: Record, from_body: Json) -> str | None:
    return _usable_id(from_body) or _usable_id(_text_of(record.key))


def _derive(record: Record) -> str:
    return derived_correlation_id(record.topic, record.partition, record.offset)


def _text_of(key: bytes | None) -> str | None:
    try:
        return key.decode() if key and len(key) <= 4 * MAX_ID_CHARACTERS else None
    except UnicodeDecodeError:
        return None


def _usable_id(candidate: Json) -> str | None:
    try:
        return _ID.validate_python(candidate) if isinstance(candidate, str) else None
    except ValidationError:
        return None
