"""Nothing lost, nothing twice, always on time: in worlds of virtual time, whatever their seeds do to them."""

from __future__ import annotations

from tests.simulation.cluster import Cluster
from tests.simulation.run import chosen_seeds, simulate
from tests.simulation.toolbox import ROUTES

HAPPENS = {
    "crash",
    "stall",
    "fenced",
    "inherited",
    "commit refused",
    "delivered again",
    "request twice",
    "transaction aborted",
    "unknown commit",
}


def test_every_seed_keeps_every_promise() -> None:
    """A failure says what is wrong and how to replay it; what is to be survived has indeed happened."""
    verdict = simulate(chosen_seeds(), until_failures=1)
    assert not verdict.failures, str(verdict)
    if verdict.seeds > 100:
        assert verdict.seen.keys() >= HAPPENS


def test_a_seed_replays_exactly() -> None:
    """The same log, byte for byte: what a seed has shown once, it shows again."""
    logs = []
    for _ in range(2):
        cluster = Cluster(7)
        cluster.run()
        topics = [ROUTES.run_events, ROUTES.responses, ROUTES.runs_changelog, ROUTES.tool_topic("look")]
        logs.append([list(cluster.log.all(topic)) for topic in topics])
    assert logs[0] == logs[1]
    assert all(logs[0])
