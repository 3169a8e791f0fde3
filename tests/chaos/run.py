"""Chaos: the whole system under load while its processes, and its broker, are killed. Judged by the checker.

python -m tests.chaos.run --seconds 60 --seed 7 --broker-kills
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.errors import KafkaError

from streams import topology
from streams.installation import topic_specs
from streams.kafka.clients import client_options
from streams.kafka.embedded import EmbeddedBroker
from streams.logs import set_up_logs
from tests.chaos import tools
from tests.chaos.fleet import Fleet
from tests.chaos.load import SCRIPT, Load, wrong_answers
from tests.chaos.storm import Storm
from tests.support.checker import Report, check
from tests.support.log_reader import read_whole_log
from tests.support.pipeline import Pipeline
from tests.support.role_process import environment_of
from tests.support.whole_log import Index, WholeLog

SIZES = {"planner": 2, "tools": 3, "aggregator": 3}
TOOLS = (tools.fetch, tools.double, tools.pay, tools.hang)
SETTLE_SECONDS = 90.0
SETTLE_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to disturb, and how. `pause` and `broker_pause` are mean seconds between two disturbances."""

    seconds: float
    seed: int
    rate: float = 20.0
    pause: float = 3.0
    sizes: Mapping[str, int] = field(default_factory=lambda: SIZES)
    """How many processes of each role."""
    broker_kills: bool = False
    broker_pause: float = 40.0


@dataclass(slots=True)
class Chaos:
    """What happened, and the checker's judgement."""

    plan: Plan
    report: Report = field(default_factory=Report)
    kills: dict[str, int] = field(default_factory=dict)
    story: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    settled: bool = False
    log: WholeLog | None = None

    def lines(self) -> Iterator[str]:
        """Say it for people."""
        yield f"seed {self.plan.seed}, {self.plan.seconds:.0f} s, {self.plan.rate:.0f} requests a second"
        yield f"kills {sum(self.kills.values())}: {dict(sorted(self.kills.items()))}"
        yield f"ends that nobody asked for {len(self.deaths)}, quiet at the end {'yes' if self.settled else 'NO'}"
        yield from self.report.lines()


async def unleash(broker: EmbeddedBroker, plan: Plan, folder: Path) -> Chaos:
    """Run chaos on a broker that has been started; `folder` takes logs and the tools' ledger."""
    chaos = Chaos(plan)
    (folder / "script.yaml").write_text(SCRIPT)
    ledger = folder / "ledger"
    async with Pipeline(broker.bootstrap_servers, f"chaos-{plan.seed}-", SCRIPT, TOOLS) as pipeline:
        environment = environment_of(
            pipeline.settings,
            ORCHESTRATOR_SCRIPT=str(folder / "script.yaml"),
            ORCHESTRATOR_TOOLS=tools.__name__,
            **{tools.LEDGER: str(ledger)},
        )
        fleet = Fleet(environment, plan.sizes, folder, plan.seed)
        storm = Storm(fleet, plan.seed, plan.pause, broker if plan.broker_kills else None, plan.broker_pause)
        load = Load(pipeline, plan.rate, plan.seed)
        try:
            await fleet.start()
            sending = asyncio.create_task(load.run(), name="load")
            await storm.run(plan.seconds)
            sending.cancel()
            await load.confirmed()
            chaos.settled = await _settles(pipeline, fleet)
        finally:
            await fleet.stop()
        names = [spec.name for spec in topic_specs(pipeline.settings, pipeline.registry)]
        log = await read_whole_log(client_options(pipeline.settings), pipeline.routes, names, ledger)
    log.excused = storm.excused
    chaos.log, chaos.kills, chaos.story, chaos.deaths = log, storm.kills, storm.story, fleet.deaths
    chaos.report = check(log)
    chaos.report.violations += wrong_answers(Index.of(log))
    return chaos


async def _settles(pipeline: Pipeline, fleet: Fleet) -> bool:
    """Wait until all are up again and every record is acknowledged by all who read it."""
    deadline = asyncio.timeout(SETTLE_SECONDS)
    try:
        async with deadline:
            await fleet.all_ready()
            while True:
                # The broker may have come back only now: it is asked again.
                with contextlib.suppress(KafkaError):
                    if await pipeline._is_settled(topology.ROLES):
                        return True
                await asyncio.sleep(SETTLE_POLL_SECONDS)
    except TimeoutError:
        if not deadline.expired():
            raise
        return False


async def _main(plan: Plan, folder: Path) -> int:
    broker = EmbeddedBroker(folder / "broker")
    await broker.start()
    try:
        chaos = await unleash(broker, plan, folder)
    finally:
        await broker.stop()
    for line in (*chaos.story, "", *chaos.deaths, "", *chaos.lines()):
        sys.stdout.write(line + "\n")
    return 0 if chaos.settled and not chaos.report.violations else 1


def main() -> None:
    """Read the options, run, and end with status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="tests.chaos.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to disturb")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="what decides everything")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--pause", type=float, default=3.0, help="mean seconds between two disturbances")
    parser.add_argument("--broker-kills", action="store_true", help="kill the broker too")
    parser.add_argument("--broker-pause", type=float, default=40.0, help="mean seconds between two of its kills")
    parser.add_argument("--keep", type=Path, help="folder to keep logs and data in")
    options = parser.parse_args()
    set_up_logs("CRITICAL", "chaos")  # what clients say of a broker that was killed is no news
    plan = Plan(
        seconds=options.seconds,
        seed=options.seed,
        rate=options.rate,
        pause=options.pause,
        broker_kills=options.broker_kills,
        broker_pause=options.broker_pause,
    )
    sys.stdout.write(f"chaos with seed {plan.seed}\n")
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        sys.exit(asyncio.run(_main(plan, options.keep)))
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        sys.exit(asyncio.run(_main(plan, Path(folder))))


if __name__ == "__main__":
    main()
