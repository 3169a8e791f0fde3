"""Fixtures for the tests on a real broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.support.broker import delete_topics, in_own_loop


@pytest.fixture(scope="module")
def module_prefix(kafka: str) -> Iterator[str]:
    """A topic prefix for a module whose tests share a pipeline. Its topics are deleted after the last of them."""
    prefix = f"m-{uuid.uuid4().hex[:8]}-"
    yield prefix
    in_own_loop(delete_topics(kafka, prefix))
