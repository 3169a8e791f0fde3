"""Applying the topics contract to a real broker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas.topics import TopicSpec, load_topics
from streams.kafka.admin import MorePartitionsRefused, TopicsNotApplied, apply_plan, observe
from streams.kafka.clients import BrokerUnreachable
from streams.kafka.topic_plan import ObservedTopic, TopicPlan, plan, render


async def plan_for(servers: str, wanted: Sequence[TopicSpec]) -> TopicPlan:
    """Compare the wanted topics with the broker."""
    return plan(wanted, await observe({"bootstrap_servers": servers}, [spec.name for spec in wanted]))


async def apply(servers: str, wanted: Sequence[TopicSpec], *, allow_more_partitions: bool = False) -> None:
    """Make the broker follow."""
    steps = await plan_for(servers, wanted)
    await apply_plan({"bootstrap_servers": servers}, steps, allow_more_partitions=allow_more_partitions)


async def observed(servers: str, name: str) -> ObservedTopic:
    """Return one topic as the broker has it."""
    return (await observe({"bootstrap_servers": servers}, [name]))[name]


async def configure(servers: str, topic: str, **settings: str) -> None:
    """Replace a topic's settings, as an operator might; underscores stand for dots."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    configs = {key.replace("_", "."): value for key, value in settings.items()}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])
    await admin.close()
    async with asyncio.timeout(20):
        while (await observed(servers, topic)).overrides != configs:  # noqa: ASYNC110 - nobody tells of a change
            await asyncio.sleep(0.05)


async def create(servers: str, topic: str, partitions: int) -> None:
    """Create a topic behind the contract's back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()


def few(prefix: str, *names: str) -> list[TopicSpec]:
    """Return some topics of the project's contract with the test's prefix."""
    return [spec for spec in load_topics().installation(["wait"], prefix=prefix) if spec.name[len(prefix) :] in names]


async def test_the_whole_contract_is_created_as_stated_and_a_second_time_nothing_is_left(
    kafka: str, topic_prefix: str
) -> None:
    """A new installation has every topic with its partitions and settings, each with a leader, and stays as it is."""
    wanted = load_topics().installation(["calculate", "wait"], prefix=topic_prefix)
    before = await plan_for(kafka, wanted)
    assert [one.topic for one in before.creates] == [spec.name for spec in wanted]
    await apply(kafka, wanted)
    for spec in wanted:
        topic = await observed(kafka, spec.name)
        assert topic.partitions == spec.partitions
        assert topic.overrides == spec.config
    assert (await plan_for(kafka, wanted)).is_empty
    await apply(kafka, wanted)


async def test_two_installers_at_once_both_succeed(kafka: str, topic_prefix: str) -> None:
    """A job that is started twice does not fail because the other one was faster."""
    wanted = few(topic_prefix, "requests", "responses")
    await asyncio.gather(*(apply(kafka, wanted) for _ in range(3)))
    assert (await plan_for(kafka, wanted)).is_empty


async def test_changed_settings_are_shown_and_mended_and_other_settings_kept(kafka: str, topic_prefix: str) -> None:
    """The contract wins where it speaks; what an operator set beside it stays."""
    wanted = few(topic_prefix, "requests")
    name = wanted[0].name
    await apply(kafka, wanted)
    await configure(kafka, name, retention_ms="5000", compression_type="zstd", cleanup_policy="delete")
    drift = await plan_for(kafka, wanted)
    assert "retention.ms: 5000 -> 604800000" in render(drift)
    assert drift.alters[0].changes["message.timestamp.type"] == ("CreateTime", "LogAppendTime")
    assert "compression.type" not in drift.alters[0].changes
    await apply(kafka, wanted)
    assert (await observed(kafka, name)).overrides == {**wanted[0].config, "compression.type": "zstd"}
    assert (await plan_for(kafka, wanted)).is_empty


async def test_more_partitions_need_the_flag_and_without_it_nothing_happens(kafka: str, topic_prefix: str) -> None:
    """Adding partitions moves keys: it is never a side effect, and never done by half."""
    wanted = few(topic_prefix, "requests", "turns")
    await create(kafka, wanted[0].name, 2)
    with pytest.raises(MorePartitionsRefused, match=f"{wanted[0].name} 2 -> 6"):
        await apply(kafka, wanted)
    assert len((await plan_for(kafka, wanted)).creates) == 1, "the other topic was not created either"
    await apply(kafka, wanted, allow_more_partitions=True)
    assert (await observed(kafka, wanted[0].name)).partitions == 6
    assert (await plan_for(kafka, wanted)).is_empty


async def test_surplus_partitions_are_shown_and_left_alone(kafka: str, topic_prefix: str) -> None:
    """Nothing is ever reduced or deleted, and the difference does not go unnoticed."""
    wanted = few(topic_prefix, "requests")
    await create(kafka, wanted[0].name, 8)
    await apply(kafka, wanted)
    left = await plan_for(kafka, wanted)
    assert (await observed(kafka, wanted[0].name)).partitions == 8
    assert not left.has_changes
    assert "8 partitions on the broker, 6 in the contract" in render(left)


async def test_topics_of_others_are_not_touched(kafka: str, topic_prefix: str) -> None:
    """A broker is shared: same prefix or not, what the contract does not name is somebody else's."""
    theirs = f"{topic_prefix}theirs"
    await create(kafka, theirs, 3)
    await configure(kafka, theirs, retention_ms="1234")
    before = await observed(kafka, theirs)
    await apply(kafka, few(topic_prefix, "requests", "tool-calls-wait"))
    assert await observed(kafka, theirs) == before


async def test_looking_at_a_topic_does_not_create_it(kafka: str, topic_prefix: str) -> None:
    """A plan is only a look."""
    name = f"{topic_prefix}never"
    for _ in range(2):
        assert await observe({"bootstrap_servers": kafka}, [name]) == {}


async def test_what_the_broker_refuses_is_told_in_its_words(kafka: str, topic_prefix: str) -> None:
    """A setting Kafka does not know, or more copies than brokers: topic and reason are in the error."""
    spec = few(topic_prefix, "requests")[0]
    wrong = spec.model_copy(update={"config": {"retention.ms": "soon"}})
    with pytest.raises(TopicsNotApplied, match=rf"{spec.name}: .*retention\.ms"):
        await apply(kafka, [wrong])
    await apply(kafka, [spec])
    with pytest.raises(TopicsNotApplied, match=rf"{spec.name}: .*retention\.ms"):
        await apply(kafka, [wrong])
    assert (await plan_for(kafka, [spec])).is_empty


async def test_no_broker_is_a_clear_error() -> None:
    """The address is in the message."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        servers = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BrokerUnreachable, match=servers):
            await observe({"bootstrap_servers": servers}, ["requests"])
