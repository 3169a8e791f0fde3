"""The flow of the system as a value: which role reads and writes which topic. Read it top to bottom.

        upstream
           | requests
           v
        PLANNER ---- calls of pure tools ----> tool-calls-<tool>
           |  ^                                       |
           |  | turns                                 v
           v  |                                     TOOLS
        run-events <-------- outcomes ----------------+
           v  |
        AGGREGATOR ---> responses, runs-changelog, and calls that had to wait
           |
           +--> cancellations, which every planner and tools process hears

`topics.yaml` says the same from the topics' side; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

REQUESTS = "requests"
TURNS = "turns"
RUN_EVENTS = "run-events"
RUNS_CHANGELOG = "runs-changelog"
RESPONSES = "responses"
CANCELLATIONS = "cancellations"
DEAD_LETTERS = "dead-letters"
TOOL_CALLS = "tool-calls-{tool}"


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of process: what it reads in its consumer group, what it writes, what every process of it hears."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    group: str
    hears: tuple[str, ...] = ()


PLANNER = Role(
    name="planner",
    reads=(REQUESTS, TURNS),
    writes=(TOOL_CALLS, RUN_EVENTS, DEAD_LETTERS),
    group="orchestrator-planner",
    hears=(CANCELLATIONS,),
)
TOOLS = Role(
    name="tools",
    reads=(TOOL_CALLS,),
    writes=(RUN_EVENTS, DEAD_LETTERS),
    group="orchestrator-tools-{toolset}",
    hears=(CANCELLATIONS,),
)
AGGREGATOR = Role(
    name="aggregator",
    reads=(REQUESTS, RUN_EVENTS, RUNS_CHANGELOG),
    writes=(RUNS_CHANGELOG, TURNS, TOOL_CALLS, RESPONSES, CANCELLATIONS, RUN_EVENTS, DEAD_LETTERS),
    group="orchestrator-aggregator",
)

ROLES = (PLANNER, TOOLS, AGGREGATOR)
