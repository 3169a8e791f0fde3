"""`make bench`: the whole pipeline on a real broker, one process per role, a scripted model and real tools.

Prints one JSON document: latency and throughput at several loads, CPU milliseconds per request by role, and what it was
measured on. Figures of shared machines move by 30 %: compare runs made in the same hour.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from agents.tools.registry import load_registry
from benchmarks.load import Load
from streams.installation import topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.clients import client_options
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topic_plan import plan
from streams.routes import Routes
from streams.settings import Settings, load_settings
from streams.supervisor import Supervisor

HERE = Path(__file__).resolve().parent
ROLES = ("planner", "tools", "aggregator")
INSTANT, SLOW = "five instant tools", "five slow tools"
LIBRARIES = ("aiokafka", "faust-streaming", "pydantic", "orjson", "uvloop")
PARALLEL = "200"
"""Calls at once of the one tools process, and of its one tool: the benchmark is about the pipeline, not the limit."""


async def main() -> None:
    """Run all loads and print the result."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="orchestrator-bench-") as folder:
        async with EmbeddedBroker(Path(folder) / "kafka") as broker:
            settings = load_settings({"KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers})
            partitions = await _apply_topics(settings)
            supervisor = Supervisor(Path(folder) / "logs", _environment(broker.bootstrap_servers))
            await supervisor.start(ROLES)
            try:
                loads = await _measure(settings, supervisor, partitions, arguments)
            finally:
                await supervisor.stop()
    sys.stdout.write(orjson.dumps({"machine": _machine(), "loads": loads}, option=orjson.OPT_INDENT_2).decode() + "\n")


async def _apply_topics(settings: Settings) -> int:
    specs = topic_specs(settings, load_registry(settings.tools))
    options = client_options(settings)
    await apply_plan(options, plan(specs, await observe(options, [spec.name for spec in specs])))
    return next(spec.partitions for spec in specs if spec.name == "responses")


async def _measure(
    settings: Settings, supervisor: Supervisor, partitions: int, arguments: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    load = Load(client_options(settings), Routes(""), partitions)
    await load.start()
    try:
        await load.run(INSTANT, 200, 20)  # warm-up: metadata, caches, first batches
        return {
            "instant tools, 1 in flight": await _one(load, supervisor, INSTANT, arguments.single, 1),
            "instant tools, 100 in flight": await _one(load, supervisor, INSTANT, arguments.many, 100),
            "instant tools, 1000 in flight": await _one(load, supervisor, INSTANT, arguments.many, 1000),
            "500 ms tools, 1 in flight": await _one(load, supervisor, SLOW, arguments.slow, 1),
        }
    finally:
        await load.stop()


async def _one(load: Load, supervisor: Supervisor, prompt: str, requests: int, in_flight: int) -> dict[str, Any]:
    sys.stderr.write(f"bench: {prompt}, {requests} requests, {in_flight} in flight\n")
    before = _cpu_ms(supervisor)
    measured = await load.run(prompt, requests, in_flight)
    after = _cpu_ms(supervisor)
    cpu = {role: round((after[role] - before[role]) / requests, 3) for role in after}
    return {**measured.summary(), "cpu_ms_per_request": {**cpu, "all": round(sum(cpu.values()), 3)}}


def _cpu_ms(supervisor: Supervisor) -> dict[str, float]:
    """Read the CPU time of each role's process so far, in milliseconds. Empty where there is no /proc."""
    ticks = os.sysconf("SC_CLK_TCK")
    used = {}
    for role, pid in supervisor.pids().items():
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(") ")[2].split()
            used[role] = (int(fields[11]) + int(fields[12])) * 1000 / ticks
    return used


def _environment(servers: str) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": servers,
        "ORCHESTRATOR_SCRIPT": str(HERE / "script.yaml"),
        "ORCHESTRATOR_MAX_PARALLEL": PARALLEL,
        "ORCHESTRATOR_MAX_PARALLEL_PER_TOOL": PARALLEL,
        "ORCHESTRATOR_MAX_PARALLEL_TURNS": "1000",
    }


def _machine() -> dict[str, Any]:
    commit = subprocess.run(  # noqa: S603 - our own fixed command
        ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"],  # noqa: S607 - git is found on the path by design
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "commit": commit or "unknown",
        **{name: version(name) for name in LIBRARIES},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--single", type=int, default=200, help="requests one at a time")
    parser.add_argument("--many", type=int, default=3000, help="requests at 100 and at 1000 in flight")
    parser.add_argument("--slow", type=int, default=20, help="requests with 500 ms tools, one at a time")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
