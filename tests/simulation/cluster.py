"""Everything that runs in a simulation: one or two of each role around one log."""

from __future__ import annotations

from tests.simulation.aggregator import SimulatedAggregator
from tests.simulation.group import Group
from tests.simulation.judge import AGGREGATORS, Judge
from tests.simulation.log import PARTITIONS, Log
from tests.simulation.planner import SimulatedPlanner
from tests.simulation.process import Process
from tests.simulation.toolbox import ROUTES, RUNNABLE
from tests.simulation.tools import SimulatedTools
from tests.simulation.upstream import Upstream
from tests.simulation.world import World


class Cluster:
    """One world with all its processes."""

    def __init__(self, seed: int) -> None:
        """Put everything together; `run` lets it happen."""
        self.seed = seed
        self.world = World(seed)
        self.log = Log(self.world)
        self.judge = Judge(self.log)
        self.upstream = Upstream(self.log)
        self.inputs = {
            "planners": [ROUTES.requests, ROUTES.turns],
            "tools": [ROUTES.tool_topic(name) for name in RUNNABLE],
            AGGREGATORS: [ROUTES.requests, ROUTES.run_events],
        }
        groups = {name: self._group(name) for name in self.inputs}
        count = self.world.rng.randint(1, 2)
        parts = (self.log, groups[AGGREGATORS], self.judge)
        self.aggregators = [SimulatedAggregator(f"aggregator {n}", *parts) for n in range(count)]
        self._processes: list[Process] = [*self.aggregators]
        for n in range(count):
            self._processes.append(SimulatedPlanner(f"planner {n}", self.log, groups["planners"], self.judge))
            self._processes.append(SimulatedTools(f"tools {n}", self.log, groups["tools"], self.judge))

    def run(self) -> None:
        """Start everything and go on until it is at rest."""
        for process in self._processes:
            self.world.later(100 * self.world.rng.random(), process.start)
        self.upstream.start()
        self.world.run()
        for aggregator in self.aggregators:
            for partition in aggregator.partitions.values():
                self.judge.closed(partition)

    def _group(self, name: str) -> Group:
        together = name == AGGREGATORS
        group = Group(self.log, name, self.inputs[name], range(PARTITIONS), together=together)
        group.on_commit = self.judge.committed
        return group
