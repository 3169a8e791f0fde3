"""Put each bug of the catalogue in, one at a time, and see that the tests find it: `python -m tests.mutations.run`.

Arguments, if any, are parts of the names of the mutations to run. Works on a copy; exit status 1 when a bug survives.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.mutations.catalogue import CATALOGUE
from tests.mutations.mutation import ROOT, Mutation
from tests.support.broker import broker_for_tests

COPIED = ("schemas", "agents", "streams", "tests", "docs", "pyproject.toml", "topics.yaml")
TEST_SECONDS = 240


def failures(tree: Path, tests: Sequence[str], environment: dict[str, str]) -> tuple[set[str], str]:
    """Run tests in a tree; return those that failed, without parameters, and what pytest said.

    That nothing ran at all is no failure of a test, and so kills nothing.
    """
    # -c: the settings of the copy. Without a cache, and without bytecode that could be of the mutation before.
    command = [sys.executable, "-B", "-m", "pytest", "-c", str(tree / "pyproject.toml"), "--rootdir", str(tree)]
    options = ["-q", "--tb=line", "-rfE", "-p", "no:cacheprovider", "--timeout=60"]
    with subprocess.Popen(
        [*command, *options, *tests],
        cwd=tree,
        env=os.environ | environment | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            said, _ = running.communicate(timeout=TEST_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)  # with the processes that the tests have started
            return set(), f"no end within {TEST_SECONDS} s"
    failed = re.findall(r"^FAILED ([^\s\[]+)", said, re.MULTILINE)
    return set(failed), f"exit status {running.returncode}\n{said[-2000:]}"


def judge(mutation: Mutation, tree: Path, environment: dict[str, str]) -> str:
    """Put a bug into the tree, run its killers, and take it out again; return what became of it."""
    originals = {edit.file: (tree / edit.file).read_text() for edit in mutation.edits}
    try:
        for edit in mutation.edits:
            if edit.occurrences(tree) != 1:
                return f"NOT APPLIED: {edit.occurrences(tree)} times in {edit.file}: {edit.old!r}"
            edit.apply(tree)
        failed, said = failures(tree, mutation.killers, environment)
    finally:
        for file, text in originals.items():
            (tree / file).write_text(text)
    survived = [killer for killer in mutation.killers if killer not in failed]
    return f"SURVIVED {', '.join(survived)}\n{said}" if survived else "killed"


@contextlib.contextmanager
def copied_tree() -> Iterator[Path]:
    """Copy what the tests need to a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Path(folder)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        yield tree


@contextlib.contextmanager
def broker_for(mutations: Sequence[Mutation]) -> Iterator[dict[str, str]]:
    """Start one broker for all, when any needs one; yield the environment that names it."""
    if not any(mutation.needs_broker for mutation in mutations):
        yield {}
        return
    with (
        tempfile.TemporaryDirectory(prefix="mutations-") as folder,
        broker_for_tests(Path(folder) / "broker") as servers,
    ):
        yield {"KAFKA_BOOTSTRAP_SERVERS": servers}


def run(mutations: Sequence[Mutation]) -> int:
    """Judge the mutations, say so in a table, and return the exit status."""
    survivors = 0
    with copied_tree() as tree, broker_for(mutations) as environment:
        killers = sorted({killer for mutation in mutations for killer in mutation.killers})
        failed, said = failures(tree, killers, environment)
        if failed or not said.startswith("exit status 0"):
            sys.stdout.write(f"without any mutation the tests must pass:\n{said}\n")
            return 1
        for mutation in mutations:
            start = time.perf_counter()
            became = judge(mutation, tree, environment)
            survivors += became != "killed"
            took = time.perf_counter() - start
            sys.stdout.write(f"{mutation.name:62} {took:6.1f} s  {len(mutation.killers)} test(s)  {became}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(mutations)} mutations, {survivors} survived\n")
    return 1 if survivors else 0


def main(names: Sequence[str]) -> int:
    """Run the mutations whose name contains any of `names`; all without."""
    chosen = [one for one in CATALOGUE if not names or any(name in one.name for name in names)]
    return run(chosen)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
