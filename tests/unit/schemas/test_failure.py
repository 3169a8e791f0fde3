"""Promises of the failure codes: a closed list, each documented with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.failure import Failure, FailureCode

PAGE = Path(__file__).parents[3] / "docs" / "failure-codes.md"
ROW = re.compile(r"^\| `(?P<code>[a-z_]+)` \| (?P<where>[^|]+) \| (?P<means>[^|]+) \| (?P<do>[^|]+) \|$", re.MULTILINE)


def documented() -> dict[str, re.Match[str]]:
    """Return the rows of the page by their code."""
    return {row["code"]: row for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))}


def test_the_page_has_every_code_and_no_other() -> None:
    """The list is closed: a reader can handle all there is."""
    assert list(documented()) == [code.value for code in FailureCode]


@pytest.mark.parametrize("code", list(FailureCode))
def test_every_code_says_what_it_means_and_what_to_do(code: FailureCode) -> None:
    """A code without advice is a riddle."""
    row = documented()[code]
    assert len(row["means"].split()) >= 4
    assert len(row["do"].split()) >= 3


def test_a_failure_is_terminal_unless_it_says_otherwise() -> None:
    """Nobody repeats by default what cannot succeed."""
    assert Failure(code=FailureCode.TOOL_FAILED, message="no").model_dump() == {
        "code": "tool_failed",
        "message": "no",
        "retryable": False,
    }
