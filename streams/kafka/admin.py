"""Make a broker follow the topics contract: look at it, and apply a plan to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import OrchestratorError
from streams.kafka.clients import BrokerUnreachable
from streams.kafka.topic_plan import AlterConfig, CreateTopic, ObservedTopic, TopicPlan

LEADER_SECONDS = 30.0
"""How long new partitions may take until they have leaders; milliseconds are usual."""
_POLL_SECONDS = 0.05
_SET_ON_THE_TOPIC = 1
"""`config_source` of a setting made for this topic (DYNAMIC_TOPIC_CONFIG in Kafka's protocol)."""


class MorePartitionsRefused(OrchestratorError):
    """The contract asks for more partitions than the broker has: {topics}. Nothing was changed.

    A key's partition depends on how many there are. After the change, records of a key go to another partition than
    before, so the order within the key is lost once, equal calls may miss each other's cache, and runs that are under
    way must be finished first. Stop the producers, let the runs end, then apply with --allow-more-partitions. For the
    co-partitioned topics all of them have to change together.
    """


class TopicsNotApplied(OrchestratorError):
    """The broker refused: {problems}. Applying again is safe and continues where it stopped."""


class LeadersMissing(OrchestratorError):
    """After {seconds:.0f} s some topics still have partitions without a leader: {topics}. Look at the broker's log."""


class SettingsMissing(OrchestratorError):
    """After {seconds:.0f} s the broker does not show the settings it confirmed: {topics}. Look at the broker's log."""


async def observe(client_options: Mapping[str, object], names: Iterable[str]) -> dict[str, ObservedTopic]:
    """Return how the broker has these topics, by name; those it does not have are left out.

    `client_options` are the arguments of aiokafka's admin client: `bootstrap_servers` and security.
    """
    async with _admin(client_options) as admin:
        return await _observe(admin, set(names))


async def apply_plan(
    client_options: Mapping[str, object], plan: TopicPlan, *, allow_more_partitions: bool = False
) -> None:
    """Create, grow and alter what the plan says, and return when every partition of those topics has a leader.

    Never deletes and never reduces. Raises `MorePartitionsRefused` before anything is changed when the plan adds
    partitions and that is not allowed, `TopicsNotApplied` with the broker's own words, `LeadersMissing`.
    """
    if plan.grows and not allow_more_partitions:
        raise MorePartitionsRefused(topics=", ".join(f"{one.topic} {one.have} -> {one.want}" for one in plan.grows))
    if not plan.has_changes:
        return
    async with _admin(client_options) as admin:
        if plan.creates:
            await _create(admin, plan.creates)
        for grow in plan.grows:
            try:
                await admin.create_partitions({grow.topic: NewPartitions(total_count=grow.want)})
            except KafkaError as error:
                raise TopicsNotApplied(problems=str(error)) from error
        if plan.alters:
            await _alter(admin, plan.alters)
            await _until_set(admin, plan.alters)
        wanted = {one.topic: one.spec.partitions for one in plan.creates} | {one.topic: one.want for one in plan.grows}
        await _until_led(admin, wanted)


@asynccontextmanager
async def _admin(client_options: Mapping[str, object]) -> AsyncIterator[AIOKafkaAdminClient]:
    options: dict[str, Any] = dict(client_options)
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerUnreachable(servers=client_options.get("bootstrap_servers"), problem=error) from error
    finally:
        await admin.close()


async def _observe(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, ObservedTopic]:
    """Look at topics by asking for all of them: asking for one by name creates it on brokers that auto-create."""
    found = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics() if topic["topic"] in names}
    configs = await _configs(admin, sorted(found))
    return {
        name: ObservedTopic(
            name=name,
            partitions=len(partitions),
            replication=min((len(partition["replicas"]) for partition in partitions), default=0),
            config={key: value for key, (value, _) in configs[name].items()},
            overrides={key: value for key, (value, source) in configs[name].items() if source == _SET_ON_THE_TOPIC},
        )
        for name, partitions in found.items()
    }


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, tuple[str, int]]]:
    """Return setting -> (value, source) of each topic."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs: dict[str, dict[str, tuple[str, int]]] = {}
    for response in await admin.describe_configs(resources):
        for resource in response.to_object()["resources"]:
            name = resource["resource_name"]
            if resource["error_code"]:
                problem = _problem(name, resource["error_code"], resource["error_message"])
                raise TopicsNotApplied(problems=problem)
            configs[name] = {
                entry["config_names"]: (entry["config_value"] or "", entry["config_source"])
                for entry in resource["config_entries"]
            }
    return configs


async def _create(admin: AIOKafkaAdminClient, steps: Sequence[CreateTopic]) -> None:
    new = [
        NewTopic(
            name=step.spec.name,
            num_partitions=step.spec.partitions,
            replication_factor=step.spec.replication,
            topic_configs=dict(step.spec.config),
        )
        for step in steps
    ]
    response = await admin.create_topics(new)
    # Another process applied the same contract at the same moment: then it exists as we wanted it.
    problems = [
        _problem(topic, code, message)
        for topic, code, message in response.topic_errors
        if code not in {0, TopicAlreadyExistsError.errno}
    ]
    if problems:
        raise TopicsNotApplied(problems="; ".join(problems))


async def _alter(admin: AIOKafkaAdminClient, steps: Sequence[AlterConfig]) -> None:
    """Change settings.

    aiokafka speaks the old AlterConfigs, which replaces all settings of a topic by those sent. So what was set on the
    topic is read again right before, and sent along; a setting that somebody else changes in these few milliseconds is
    lost, which no client of that request can prevent.
    """
    observed = await _observe(admin, {step.topic for step in steps})
    resources = []
    for step in steps:
        kept = dict(observed[step.topic].overrides) if step.topic in observed else {}
        settings = kept | {key: want for key, (_, want) in step.changes.items()}
        resources.append(ConfigResource(ConfigResourceType.TOPIC, step.topic, configs=settings))
    problems = [
        _problem(name, code, message)
        for response in await admin.alter_configs(resources)
        for code, message, _, name in response.resources
        if code
    ]
    if problems:
        raise TopicsNotApplied(problems="; ".join(problems))


async def _until_set(admin: AIOKafkaAdminClient, steps: Sequence[AlterConfig]) -> None:
    """Wait until the broker shows the settings: it confirms a change before it has heard of it from the controller."""
    waiting = {step.topic: {key: want for key, (_, want) in step.changes.items()} for step in steps}
    try:
        async with asyncio.timeout(LEADER_SECONDS):
            while waiting:
                observed = await _observe(admin, set(waiting))
                for topic, wanted in list(waiting.items()):
                    if topic in observed and wanted.items() <= observed[topic].config.items():
                        del waiting[topic]
                if waiting:
                    await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise SettingsMissing(seconds=LEADER_SECONDS, topics=", ".join(sorted(waiting))) from error


async def _until_led(admin: AIOKafkaAdminClient, wanted: Mapping[str, int]) -> None:
    """Wait until these topics are there with that many partitions, each with a leader."""
    waiting = set(wanted)
    try:
        async with asyncio.timeout(LEADER_SECONDS):
            while waiting:
                for topic in await admin.describe_topics():
                    led = sum(1 for one in topic["partitions"] if one["leader"] >= 0 and not one["error_code"])
                    if led >= wanted.get(topic["topic"], 0):
                        waiting.discard(topic["topic"])
                if waiting:
                    await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError as error:
        raise LeadersMissing(seconds=LEADER_SECONDS, topics=", ".join(sorted(waiting))) from error


def _problem(topic: str, code: int, message: str | None) -> str:
    return f"{topic}: {message or for_code(code).__name__}"
