"""The checker: judges by everything an installation has left behind whether it has kept its promises.

It knows nothing of how the records came about, so one checker serves tests, chaos and crash points alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.submission import Submission, Unidentified, read_submission
from tests.support import check_acknowledgements, check_order, check_table
from tests.support.check_acknowledgements import ExecutionCounts
from tests.support.stalls import longest_stall, slowest_answer
from tests.support.violation import Violation
from tests.support.whole_log import Index, WholeLog

DEADLINE_MARGIN_MS = 1000


@dataclass(slots=True)
class Report:
    """What was found. Everything is well when there are no violations."""

    requests: int = 0
    answered: int = 0
    missing: int = 0
    doubled: int = 0
    aborted_copies: int = 0
    """Responses in transactions that were aborted: no `read_committed` reader sees them."""
    late: int = 0
    executions: ExecutionCounts = field(default_factory=ExecutionCounts)
    commits: int = 0
    dead_letters: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    stall_ms: float = 0
    """The longest time without any response while a request waited, and the same within one partition."""
    partition_stall_ms: float = 0
    slowest_ms: float = 0
    """The longest time from a request to its response."""
    violations: list[Violation] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Say it for people."""
        runs = self.executions
        yield f"requests {self.requests}, missing {self.missing}, doubled {self.doubled}, late {self.late}"
        yield f"statuses {dict(sorted(self.statuses.items()))}, dead letters {self.dead_letters}"
        yield f"responses in aborted transactions {self.aborted_copies}"
        yield (
            f"executions {runs.total}, repeated in flight {runs.in_flight}, of calls published again "
            f"{runs.published_again}, re-executed after a commit {runs.after_commit}"
        )
        yield f"commits checked {self.commits}"
        yield (
            f"longest stall {self.stall_ms / 1000:.1f} s, of one partition {self.partition_stall_ms / 1000:.1f} s; "
            f"slowest answer {self.slowest_ms / 1000:.1f} s"
        )
        shown = Counter(violation.promise for violation in self.violations)
        yield f"violations {dict(shown) or 'none'}"
        yield from (f"  {violation}" for violation in self.violations[:20])


def check(log: WholeLog) -> Report:
    """Judge a log."""
    index = Index.of(log)
    report = Report(requests=len(index.requests), commits=len(log.commits), dead_letters=len(index.buried))
    report.violations += _answers(index, report)
    report.violations += _buried(log, index)
    report.violations += _deadlines(log, index, report)
    report.violations += check_order.violations(index)
    acknowledged = check_acknowledgements.acknowledged_calls(log, index)
    report.violations += check_acknowledgements.of_commits(log, index)
    report.violations += check_acknowledgements.of_executions(log, index, acknowledged, report.executions)
    report.violations += check_table.violations(log, index)
    report.aborted_copies = _aborted_copies(log)
    report.stall_ms, report.partition_stall_ms = longest_stall(log, index)
    report.slowest_ms = slowest_answer(index)
    return report


def _answers(index: Index, report: Report) -> Iterator[Violation]:
    for name in index.requests:
        found = index.responses.get(name, [])
        report.statuses.update(response.status for response, _ in found[:1])
        if not found:
            report.missing += 1
            yield Violation("answered", name, "has no response")
        elif len(found) > 1:
            report.doubled += 1
            yield Violation("answered once", name, f"has {len(found)} responses")
    report.answered = report.requests - report.missing
    for name in index.responses.keys() - index.requests.keys():
        yield Violation("answered", name, "has a response, but was never asked")


def _buried(log: WholeLog, index: Index) -> Iterator[Violation]:
    """Find requests that were taken for repetitions of themselves: whoever folded them began too early."""
    first: set[str] = set()
    for record in log.of(log.routes.requests):
        submission = read_submission(record, log.default_timeout_ms)
        if isinstance(submission, Unidentified) or submission.correlation_id in first:
            continue
        first.add(submission.correlation_id)
        if (record.topic, record.partition, record.offset) in index.buried:
            yield Violation("folded once", submission.correlation_id, "was buried as a repetition of itself")


def _deadlines(log: WholeLog, index: Index, report: Report) -> Iterator[Violation]:
    for name, (submission, _) in index.requests.items():
        found = index.responses.get(name)
        if not found or not isinstance(submission, Submission):
            continue
        limit = submission.deadline_at.timestamp() * 1000 + DEADLINE_MARGIN_MS
        for span in sorted(log.excused, key=lambda one: one.start_ms):
            if span.start_ms <= limit <= span.end_ms:
                limit = span.end_ms
        over = found[0][1].timestamp_ms - limit
        if over > 0:
            report.late += 1
            yield Violation("in time", name, f"was answered {over:.0f} ms after its deadline and a second")


def _aborted_copies(log: WholeLog) -> int:
    """Count responses that only a `read_uncommitted` reader sees."""
    if log.uncommitted is None:
        return 0
    written = sum(record.topic == log.routes.responses for record in log.uncommitted)
    return written - len(log.of(log.routes.responses))
