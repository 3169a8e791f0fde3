"""Run simulations: `python -m tests.simulation.run`.

`SIMULATION_SEEDS=n` says how many seeds, `SIMULATION_SEED=x` runs that one alone, which is how a failure is replayed.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog.testing

from tests.simulation.checks import violations
from tests.simulation.cluster import Cluster
from tests.simulation.world import NeverSettles

SEEDS = 500
"""How many without any wish: some five seconds of one core."""


@dataclass(slots=True)
class Verdict:
    """What became of some seeds."""

    seeds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    """What happened, by kind: a simulation in which nothing goes wrong shows nothing."""
    failures: dict[int, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say it, with how to replay each failure."""
        lines = [f"{self.seeds} seeds: " + ", ".join(f"{what} {count}" for what, count in sorted(self.seen.items()))]
        for seed, wrong in self.failures.items():
            lines.append(f"SIMULATION_SEED={seed} python -m tests.simulation.run")
            lines += [f"    {violation}" for violation in wrong]
        return "\n".join(lines)


def chosen_seeds() -> range:
    """Return the seeds that the environment asks for."""
    if seed := os.environ.get("SIMULATION_SEED"):
        return range(int(seed), int(seed) + 1)
    return range(int(os.environ.get("SIMULATION_SEEDS") or SEEDS))


def simulate(seeds: Iterable[int], *, until_failures: int = 3) -> Verdict:
    """Run seeds, and stop after some have failed."""
    verdict = Verdict()
    with structlog.testing.capture_logs():  # dead letters are part of the play
        for seed in seeds:
            cluster = Cluster(seed)
            try:
                cluster.run()
                wrong = list(violations(cluster))
            except NeverSettles:
                wrong = ["it never comes to rest"]
            verdict.seeds += 1
            verdict.seen += cluster.world.seen
            if wrong:
                verdict.failures[seed] = wrong
            if len(verdict.failures) == until_failures:
                break
    return verdict


def main() -> int:
    """Run the chosen seeds and say what happened."""
    start = time.perf_counter()
    verdict = simulate(chosen_seeds())
    seconds = time.perf_counter() - start
    sys.stdout.write(f"{verdict}\n{seconds:.1f} s, {len(verdict.failures)} failed\n")
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
