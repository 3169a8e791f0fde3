"""topics.yaml, the topology and the codecs say the same of who writes, who reads and what."""

from __future__ import annotations

import pytest

from schemas.events import CODECS
from schemas.topics import TOOL_TEMPLATE, TopicSpec, load_topics
from streams import topology

CONTRACT = load_topics()
TOPICS: dict[str, TopicSpec] = {spec.name: spec for spec in (*CONTRACT.topics, CONTRACT.template)}
IN_USE = {name: spec for name, spec in TOPICS.items() if not spec.reserved}
ROLES = {role.name: role for role in topology.ROLES}


@pytest.mark.parametrize("name", IN_USE)
def test_the_writers_of_a_topic_are_those_of_the_topology(name: str) -> None:
    """Of the roles that exist; upstream, gateway and the like are others' processes."""
    writers = {role.name for role in topology.ROLES if name in role.writes}
    assert {producer for producer in IN_USE[name].producers if producer in ROLES} == writers


@pytest.mark.parametrize("name", IN_USE)
def test_the_readers_of_a_topic_are_those_of_the_topology(name: str) -> None:
    """A topic that a role reads without being named there would be missing its access rights."""
    readers = {role.name for role in topology.ROLES if name in (*role.reads, *role.hears)}
    assert {consumer for consumer in IN_USE[name].consumers if consumer in ROLES} == readers


def test_the_topology_knows_no_topic_that_the_contract_does_not_state() -> None:
    """Nothing makes such a topic, so a role would wait for it in silence. Nor is a reserved one in use."""
    named = {name for role in topology.ROLES for name in (*role.reads, *role.hears, *role.writes)}
    assert named == set(IN_USE)
    assert topology.TOOL_CALLS == TOOL_TEMPLATE


def test_every_topic_has_a_codec_that_reads_exactly_its_types() -> None:
    """`dead-letters` has none: its records are what nobody could read."""
    assert set(CODECS) == set(TOPICS) - {"dead-letters"}
    assert TOPICS["dead-letters"].types == ()
    for name, codec in CODECS.items():
        assert set(TOPICS[name].types) == codec.types, name
        assert len(set(TOPICS[name].types)) == len(TOPICS[name].types), name


def test_a_type_lies_on_one_topic_only() -> None:
    """So `type` alone says what a record is, wherever it is found."""
    types = [type_ for codec in CODECS.values() for type_ in codec.types]
    assert len(types) == len(set(types))


def test_groups_are_told_apart() -> None:
    """Two roles in one group would take each other's records."""
    groups = [role.group for role in topology.ROLES]
    assert len(set(groups)) == len(groups)
    assert "{toolset}" in topology.TOOLS.group
