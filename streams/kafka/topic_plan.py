"""What has to change so that a broker has the topics of the contract. Pure: no broker is asked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from schemas.topics import TopicSpec


@dataclass(frozen=True, slots=True)
class ObservedTopic:
    """A topic as a broker has it."""

    name: str
    partitions: int
    replication: int
    """Copies of the partition that has fewest."""
    config: Mapping[str, str]
    """Every setting in force, whoever set it."""
    overrides: Mapping[str, str]
    """The settings made for this very topic; what writes the configuration anew must keep them."""


@dataclass(frozen=True, slots=True)
class CreateTopic:
    """The topic is missing."""

    spec: TopicSpec

    @property
    def topic(self) -> str:
        """The name of the topic."""
        return self.spec.name


@dataclass(frozen=True, slots=True)
class AddPartitions:
    """The topic has fewer partitions than the contract."""

    topic: str
    have: int
    want: int


@dataclass(frozen=True, slots=True)
class AlterConfig:
    """Settings differ."""

    topic: str
    changes: Mapping[str, tuple[str | None, str]]
    """Setting -> (value in force, None when the broker does not know the setting; value wanted)."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference that nothing here can mend."""

    topic: str
    problem: str


Step: TypeAlias = CreateTopic | AddPartitions | AlterConfig | Drift


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """The steps from what a broker has to what the contract says, in the order of the contract."""

    steps: tuple[Step, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the broker agrees with the contract in everything."""
        return not self.steps

    @property
    def has_changes(self) -> bool:
        """Whether applying would do anything; drift alone is nothing that can be applied."""
        return any(not isinstance(step, Drift) for step in self.steps)

    @property
    def creates(self) -> tuple[CreateTopic, ...]:
        """The topics to create."""
        return tuple(step for step in self.steps if isinstance(step, CreateTopic))

    @property
    def grows(self) -> tuple[AddPartitions, ...]:
        """The topics that need more partitions, which has to be allowed explicitly."""
        return tuple(step for step in self.steps if isinstance(step, AddPartitions))

    @property
    def alters(self) -> tuple[AlterConfig, ...]:
        """The topics whose settings change."""
        return tuple(step for step in self.steps if isinstance(step, AlterConfig))

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """What cannot be mended."""
        return tuple(step for step in self.steps if isinstance(step, Drift))


def plan(wanted: Sequence[TopicSpec], observed: Mapping[str, ObservedTopic]) -> TopicPlan:
    """Compare the contract (`TopicsContract.installation`) with what a broker has.

    Nothing is ever deleted or reduced, topics outside the contract do not matter, and of a topic's settings only those
    the contract names do.
    """
    steps: list[Step] = []
    for spec in wanted:
        have = observed.get(spec.name)
        if have is None:
            steps.append(CreateTopic(spec))
        else:
            steps += _differences(spec, have)
    return TopicPlan(tuple(steps))


def _differences(spec: TopicSpec, have: ObservedTopic) -> list[Step]:
    steps: list[Step] = []
    if have.partitions < spec.partitions:
        steps.append(AddPartitions(spec.name, have.partitions, spec.partitions))
    elif have.partitions > spec.partitions:
        problem = (
            f"{have.partitions} partitions on the broker, {spec.partitions} in the contract. Kafka cannot remove "
            "partitions: change the contract, or move to a new topic prefix"
        )
        steps.append(Drift(spec.name, problem))
    if have.replication != spec.replication:
        problem = (
            f"replication factor {have.replication} on the broker, {spec.replication} in the contract. "
            "Changing it moves data: use kafka-reassign-partitions, or change the contract"
        )
        steps.append(Drift(spec.name, problem))
    changes = {
        key: (have.config.get(key), value) for key, value in spec.config.items() if have.config.get(key) != value
    }
    if changes:
        steps.append(AlterConfig(spec.name, changes))
    return steps


def render(plan: TopicPlan) -> str:
    """Write the plan for a person, one block per step and a summary in the last line."""
    if plan.is_empty:
        return "The broker has every topic as topics.yaml states it: nothing to do."
    blocks = [_render_step(step) for step in plan.steps]
    counts = (
        (len(plan.creates), "to create"),
        (len(plan.alters), "to change"),
        (len(plan.grows), "to grow"),
        (len(plan.drifts), "that cannot be mended here"),
    )
    return "\n".join([*blocks, "", ", ".join(f"{count} {what}" for count, what in counts if count) + "."])


def _render_step(step: Step) -> str:
    match step:
        case CreateTopic(spec):
            head = f"+ {spec.name}  ({spec.partitions} partitions, replication {spec.replication})"
            return "\n".join([head, *(f"    {key} = {value}" for key, value in spec.config.items())])
        case AddPartitions(topic, have, want):
            return (
                f"> {topic}  (partitions {have} -> {want})\n"
                "    moves keys to other partitions: not without --allow-more-partitions"
            )
        case AlterConfig(topic, changes):
            lines = [f"    {key}: {have or 'unset'} -> {want}" for key, (have, want) in changes.items()]
            return "\n".join([f"~ {topic}", *lines])
        case Drift(topic, problem):
            return f"! {topic}\n    {problem}"
        case _:
            assert_never(step)
