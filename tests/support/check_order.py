"""Whether each run happened in the order of cause and effect, by the broker's clock."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.violation import Violation
from tests.support.whole_log import Index

CAUSE = "cause before effect"


def violations(index: Index) -> Iterator[Violation]:
    """Judge all runs.

    Calls of pure tools are published while the model still speaks, so before their plan; those that have an effect
    only after it.
    """
    yield from _plans(index)
    yield from _calls(index)
    yield from _responses(index)


def _plans(index: Index) -> Iterator[Violation]:
    for (name, turn), plans in index.plans.items():
        asked = index.requests[name][1] if turn == 1 and name in index.requests else index.turns.get((name, turn))
        if asked is None or plans[0][1] < asked:
            yield Violation(CAUSE, name, f"was planned in turn {turn} before that turn was asked for")
    for (name, turn), asked in index.turns.items():
        before = index.plans.get((name, turn - 1))
        if before is None or asked < before[0][1]:
            yield Violation(CAUSE, name, f"was asked for turn {turn} before turn {turn - 1} was planned")


def _calls(index: Index) -> Iterator[Violation]:
    for call_id, calls in index.calls.items():
        call, record = calls[0]
        request = index.requests.get(call.correlation_id)
        if request is None or record.timestamp_ms < request[1]:
            yield Violation(CAUSE, call_id, f"was published before the request of {call.correlation_id}")
    for call_id, outcomes in index.outcomes.items():
        outcome, at = outcomes[0]
        found = index.calls.get(call_id)
        # The aggregator itself says of a call that nobody can take that it failed, in no attempt.
        if outcome.attempts and (found is None or at < found[0][1].timestamp_ms):
            yield Violation(CAUSE, call_id, "has an outcome before it was published")
    for call_id, planned in index.effects().items():
        calls = index.calls.get(call_id, [])
        if len(calls) > 1:
            yield Violation("an effect is asked for once", call_id, f"was published {len(calls)} times")
        if any(record.timestamp_ms < planned for _, record in calls):
            yield Violation(CAUSE, call_id, "has an effect and was published before its plan")


def _responses(index: Index) -> Iterator[Violation]:
    for name, responses in index.responses.items():
        response, record = responses[0]
        at = record.timestamp_ms
        if name in index.requests and at < index.requests[name][1]:
            yield Violation(CAUSE, name, "was answered before it was asked")
        for turn in range(1, response.turns + 1):
            plans = index.plans.get((name, turn))
            if plans is None or at < plans[0][1]:
                yield Violation(CAUSE, name, f"was answered before its turn {turn} was planned")
        for result in response.results:
            outcomes = index.outcomes.get(result.call_id)
            if result.status == "succeeded" and (outcomes is None or at < outcomes[0][1]):
                yield Violation(CAUSE, name, f"was answered with a result of {result.call_id} that was not there yet")
