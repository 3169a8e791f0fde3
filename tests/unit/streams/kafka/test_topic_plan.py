"""The difference between the contract and a broker, without a broker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import TopicSpec, load_topics
from streams.kafka.topic_plan import (
    AddPartitions,
    AlterConfig,
    CreateTopic,
    Drift,
    ObservedTopic,
    TopicPlan,
    plan,
    render,
)

CONTRACT = load_topics()
REQUESTS = CONTRACT.topic("requests")


def as_stated(spec: TopicSpec, **differences: object) -> ObservedTopic:
    """Return the topic as a broker has it that follows the contract, apart from the differences."""
    facts = {
        "name": spec.name,
        "partitions": spec.partitions,
        "replication": spec.replication,
        "config": {"min.insync.replicas": "1", **spec.config},
        "overrides": spec.config,
    }
    return ObservedTopic(**(facts | differences))  # type: ignore[arg-type] # the facts are typed above


def test_a_broker_that_follows_the_contract_has_nothing_to_do() -> None:
    """Applying twice is the same as applying once."""
    wanted = CONTRACT.installation(["wait"])
    same = plan(wanted, {spec.name: as_stated(spec) for spec in wanted})
    assert same.is_empty
    assert not same.has_changes
    assert "nothing to do" in render(same)


def test_missing_topics_are_created_in_the_order_of_the_contract() -> None:
    """A new installation gets every topic."""
    wanted = CONTRACT.installation(["wait"])
    assert plan(wanted, {}).steps == tuple(CreateTopic(spec) for spec in wanted)


def test_fewer_partitions_are_a_step_of_their_own() -> None:
    """Growing has consequences, so it can be told from the harmless steps."""
    grown = plan([REQUESTS], {"requests": as_stated(REQUESTS, partitions=2)})
    assert grown.grows == (AddPartitions("requests", 2, REQUESTS.partitions),)
    assert "--allow-more-partitions" in render(grown)


def test_a_partition_is_never_removed() -> None:
    """More partitions than stated are reported; there is no step that could reduce them."""
    over = plan([REQUESTS], {"requests": as_stated(REQUESTS, partitions=99)})
    assert isinstance(over.steps[0], Drift)
    assert not over.is_empty
    assert not over.has_changes
    assert "99 partitions on the broker" in render(over)


def test_another_replication_factor_is_reported_only() -> None:
    """Moving replicas is an operator's decision."""
    (step,) = plan([REQUESTS], {"requests": as_stated(REQUESTS, replication=3)}).steps
    assert isinstance(step, Drift)
    assert "kafka-reassign-partitions" in step.problem


def test_only_settings_the_contract_names_are_changed() -> None:
    """What an operator set on purpose elsewhere stays as it is."""
    config = {**REQUESTS.config, "retention.ms": "5", "compression.type": "zstd"}
    (step,) = plan([REQUESTS], {"requests": as_stated(REQUESTS, config=config)}).steps
    assert step == AlterConfig("requests", {"retention.ms": ("5", REQUESTS.config["retention.ms"])})


def test_topics_outside_the_contract_do_not_matter() -> None:
    """A shared broker has topics of others."""
    foreign = ObservedTopic("theirs", 1, 1, {}, {})
    assert plan([REQUESTS], {"theirs": foreign, "requests": as_stated(REQUESTS)}).is_empty


@given(
    st.dictionaries(
        st.sampled_from([spec.name for spec in CONTRACT.topics] + ["foreign"]),
        st.builds(
            ObservedTopic,
            name=st.just("x"),
            partitions=st.integers(1, 12),
            replication=st.integers(1, 3),
            config=st.dictionaries(
                st.sampled_from(sorted(REQUESTS.config)), st.sampled_from(["1", "delete", "compact"])
            ),
            overrides=st.just({}),
        ),
    )
)
def test_no_plan_touches_a_foreign_topic_or_shrinks_one(observed: dict[str, ObservedTopic]) -> None:
    """Whatever a broker has, the steps only add, and only to topics of the contract."""
    steps = plan(CONTRACT.topics, observed)
    assert {step.topic for step in steps.steps} <= {spec.name for spec in CONTRACT.topics}
    assert all(grow.want > grow.have for grow in steps.grows)
    assert {one.topic for one in steps.creates}.isdisjoint(observed)
    assert len(render(steps).splitlines()) >= len(steps.steps)


def test_the_rendered_plan_shows_each_difference_and_counts_them() -> None:
    """A person reads what will happen before it happens."""
    audit, turns, responses = (CONTRACT.topic(name) for name in ("audit", "turns", "responses"))
    observed = {
        "requests": as_stated(REQUESTS, config={**REQUESTS.config, "retention.ms": "5"}),
        "turns": as_stated(turns, partitions=3),
        "audit": as_stated(audit, partitions=8),
    }
    text = render(plan([REQUESTS, turns, audit, responses], observed))
    assert "~ requests\n    retention.ms: 5 -> 604800000" in text
    assert "> turns  (partitions 3 -> 6)" in text
    assert "! audit\n    8 partitions on the broker, 6 in the contract" in text
    assert "+ responses  (6 partitions, replication 1)\n    cleanup.policy = delete" in text
    assert text.splitlines()[-1] == "1 to create, 1 to change, 1 to grow, 1 that cannot be mended here."


def test_the_plan_of_nothing_is_empty() -> None:
    """No topics, no steps."""
    assert plan([], {}) == TopicPlan(())
