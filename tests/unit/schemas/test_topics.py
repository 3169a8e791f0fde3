"""The topics contract: what topics.yaml may say, and what names come out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import topics
from schemas.topics import (
    MAX_TOPIC_CHARACTERS,
    TopicNameClash,
    TopicNameInvalid,
    TopicsContract,
    TopicsFileInvalid,
    UnknownTopic,
    load_topics,
    prefixed,
    tool_topic,
)

CO_PARTITIONED = {"requests", "turns", "run-events", "responses", "runs-changelog", "audit"}
VALID = """\
partitions: 3
replication: 1
topics:
  - name: requests
    description: What upstream asks for.
    key: correlation id
    schema: [request.submitted]
    producers: [upstream]
    consumers: [planner]
    co_partitioned: true
    config:
      retention.ms: 1000
      preallocate: false
  - name: tool-calls-{tool}
    description: Calls of one tool.
    key: call id
    schema: [tool_call.requested]
    producers: [planner]
    consumers: [tools]
    partitions: 5
    config: {}
  - name: dead-letters
    description: What nobody could read.
    key: as it was
    schema: []
    producers: [tools]
    consumers: [dlq]
    config: {}
"""


def load(tmp_path: Path, text: str) -> TopicsContract:
    """Load a contract from text."""
    path = tmp_path / "topics.yaml"
    path.write_text(text, encoding="utf-8")
    return load_topics(path)


def test_the_project_states_every_topic_of_its_wire_contract() -> None:
    """The file at the root is valid, and the six topics a run lives on have one number of partitions."""
    contract = load_topics()
    names = {topic.name for topic in contract.topics}
    assert names == CO_PARTITIONED | {"run-progress", "cancellations", "dead-letters"}
    assert {topic.name for topic in contract.topics if topic.co_partitioned} == CO_PARTITIONED
    assert {contract.topic(name).partitions for name in CO_PARTITIONED} == {contract.partitions}


def test_only_the_table_is_compacted_and_all_time_is_the_brokers() -> None:
    """One clock decides; and a topic that is a record of facts never loses one to compaction."""
    contract = load_topics()
    every = (*contract.topics, contract.template)
    assert [one.name for one in every if one.config["cleanup.policy"] != "delete"] == ["runs-changelog"]
    assert {one.config["message.timestamp.type"] for one in every} == {"LogAppendTime"}


def test_segments_are_shorter_than_the_retention_they_serve() -> None:
    """Kafka deletes whole segments: with longer ones, records would stay long after their time."""
    for one in (*load_topics().topics, load_topics().template):
        if "retention.ms" in one.config:
            assert int(one.config["segment.ms"]) * 5 <= int(one.config["retention.ms"]), one.name


def test_defaults_come_from_the_top_and_a_topic_may_have_its_own(tmp_path: Path) -> None:
    """The number of partitions is stated once."""
    contract = load(tmp_path, VALID)
    assert contract.topic("requests").partitions == 3
    assert contract.template.partitions == 5
    assert contract.topic("dead-letters").replication == 1


def test_settings_are_text_as_kafka_writes_it(tmp_path: Path) -> None:
    """YAML's numbers and booleans reach Kafka in its own spelling, so that they compare equal later."""
    assert load(tmp_path, VALID).topic("requests").config == {"retention.ms": "1000", "preallocate": "false"}


def test_an_unknown_topic_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    """A typing error is seen at once."""
    with pytest.raises(UnknownTopic, match=r"'request'.*requests, dead-letters"):
        load(tmp_path, VALID).topic("request")


def test_every_tool_has_a_topic_made_from_the_template(tmp_path: Path) -> None:
    """Names are kebab-case, a repeated tool has one topic, and the rest is the template's."""
    first, second = load(tmp_path, VALID).for_tools(["current_time", "calculate", "current_time"])
    assert (first.name, second.name) == ("tool-calls-current-time", "tool-calls-calculate")
    assert first.partitions == 5
    assert first.types == ("tool_call.requested",)
    assert not first.is_template


def test_two_tools_with_one_topic_are_refused(tmp_path: Path) -> None:
    """Their calls would reach agents that cannot run them."""
    with pytest.raises(TopicNameClash, match=r"'read_file' and 'readFile_'|'read_file' and 'read-file'"):
        load(tmp_path, VALID).for_tools(["read_file", "read-file"])


def test_an_installation_has_its_prefix_before_every_topic(tmp_path: Path) -> None:
    """Several installations share a broker; the replication factor is the installation's, too."""
    specs = load(tmp_path, VALID).installation(["wait"], prefix="blue-", replication=3)
    assert [spec.name for spec in specs] == ["blue-requests", "blue-dead-letters", "blue-tool-calls-wait"]
    assert {spec.replication for spec in specs} == {3}


@pytest.mark.parametrize(
    ("tool", "topic"), [("wait", "wait"), ("Get_Weather", "get-weather"), ("__a  b!!c__", "a-b-c")]
)
def test_a_tool_topic_is_kebab_case(tool: str, topic: str) -> None:
    """Lower case, every run of anything else than letters and digits is one "-", none at the ends."""
    assert tool_topic(tool) == f"tool-calls-{topic}"


@given(st.text())
def test_a_tool_topic_is_always_a_legal_name_or_refused(tool: str) -> None:
    """No tool name makes a topic that Kafka would refuse later."""
    try:
        topic = tool_topic(tool)
    except TopicNameInvalid:
        return
    assert topics.checked_topic_name(topic) == topic
    assert topic == topic.lower()


@pytest.mark.parametrize("prefix", ["a/b", "x" * (MAX_TOPIC_CHARACTERS - 3), "ü-", "a b", "a\n"])
def test_a_prefix_kafka_would_refuse_is_refused_here(prefix: str) -> None:
    """The limit of 249 characters counts for the whole name."""
    with pytest.raises(TopicNameInvalid, match="249"):
        prefixed(prefix, "wait")


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_are_folders_of_their_own_are_refused(name: str) -> None:
    """A topic is a directory on the broker."""
    with pytest.raises(TopicNameInvalid):
        prefixed("", name)


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("key: call id", "kye: call id", 14, "topics.1.key: Field required"),
        ("consumers: [dlq]", "consumers: [dlg]", 27, "topics.2.consumers.0"),
        ("partitions: 5", "partitions: 0", 20, "topics.1.partitions"),
        ("partitions: 5", "partitions: '5'", 20, "topics.1.partitions"),
        ("name: dead-letters", "name: dead letters", 22, "249"),
        ("co_partitioned: true", "co_partitioned: true\n    partitions: 4", 11, "'requests' is co-partitioned"),
        ("name: dead-letters", "name: requests", 22, "'requests' is stated twice"),
        ("    key: as it was", "    key: as it was\n    key: again", 25, "'key' is stated twice"),
        ("{tool}", "{tol}", 1, "exactly one topic must be named 'tool-calls-{tool}'"),
        ("partitions: 3", "partitions: [3", 2, "not YAML"),
        ("topics:", "topic:", 1, "topics: Field required"),
    ],
)
def test_a_mistake_is_reported_with_its_line(tmp_path: Path, old: str, new: str, line: int, problem: str) -> None:
    """The error names the file, the line and what is wrong there."""
    assert VALID.count(old) == 1
    with pytest.raises(TopicsFileInvalid) as error:
        load(tmp_path, VALID.replace(old, new))
    assert str(error.value).startswith(f"{tmp_path / 'topics.yaml'}:{line}: ")
    assert problem in str(error.value)


@pytest.mark.parametrize("text", ["", "- a\n", "just text", "a: 1\n---\nb: 2\n", "\x00"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the answer is our error and no traceback from inside."""
    with pytest.raises(TopicsFileInvalid):
        load(tmp_path, text)
