"""Fixtures for all tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.broker import broker_for_tests, delete_topics, in_own_loop

# A time limit per example fails at random where cores are shared; pytest's limit per test stays.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

_KAFKA_TESTS = Path(__file__).parent / "kafka"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test under tests/kafka, so that `-m "not kafka"` leaves out what needs a broker."""
    for item in items:
        if item.path.is_relative_to(_KAFKA_TESTS):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker, one for the whole session."""
    with broker_for_tests(tmp_path_factory.mktemp("kafka") / "broker") as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
def topic_prefix(kafka: str) -> Iterator[str]:
    """A prefix no other test uses, for topics, groups and transactional ids. Its topics are deleted after the test."""
    prefix = f"t-{uuid.uuid4().hex[:8]}-"
    yield prefix
    in_own_loop(delete_topics(kafka, prefix))
