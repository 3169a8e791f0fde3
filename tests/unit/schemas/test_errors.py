"""Promises of the errors: one root, messages that can be written, trees that are complete."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import string
from types import ModuleType

import pytest

import agents
import schemas
import streams
from schemas.errors import OrchestratorError


def modules() -> list[ModuleType]:
    """Import every module of the three packages."""
    return [
        importlib.import_module(found.name)
        for package in (schemas, agents, streams)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith("__main__")
    ]


def descendants(root: type[OrchestratorError]) -> list[type[OrchestratorError]]:
    """List a class's subclasses at every depth, those of tests left out."""
    children = [child for child in root.__subclasses__() if child.__module__.split(".")[0] != "tests"]
    return children + [below for child in children for below in descendants(child)]


MODULES = modules()
ERRORS = sorted(descendants(OrchestratorError), key=lambda error: error.__name__)


def facts(error: type[OrchestratorError]) -> dict[str, object]:
    """Return a value for each field of the message template, of a kind that its format takes."""
    template = inspect.cleandoc(error.__doc__ or "")
    fields = [(name, form) for _, name, form, _ in string.Formatter().parse(template) if name is not None]
    return {name: 7 if form and form[-1] in "dfe%," else f"<{name}>" for name, form in fields}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_can_be_raised_with_the_facts_of_its_message(error: type[OrchestratorError]) -> None:
    """The docstring is the message: each of its fields is a fact, and every fact is shown and kept."""
    given = facts(error)
    raised = error(**given)
    message = str(raised)
    assert message
    assert "{" not in message
    for name, value in given.items():
        assert str(value) in message
        assert getattr(raised, name) == value
    assert raised.facts.keys() >= given.keys()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_has_a_message_of_its_own(error: type[OrchestratorError]) -> None:
    """An inherited docstring would be the message of another error."""
    assert error.__dict__.get("__doc__")


def test_every_exception_of_the_project_has_the_one_root() -> None:
    """The command line prints one clear line for each of them, and a traceback for what is not ours."""
    ours = {
        member
        for module in MODULES
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and issubclass(member, BaseException)
    }
    assert ours
    assert {error.__name__ for error in ours if not issubclass(error, OrchestratorError)} == set()


def drawn(module: ModuleType) -> dict[str, list[str]]:
    """Read a tree of errors in a module's docstring: each name with those drawn below it."""
    tree: dict[str, list[str]] = {}
    above: list[tuple[int, str]] = []
    for line in (module.__doc__ or "").splitlines():
        if not (branch := re.match(r"(?P<indent> *(?:[|`]   ?)*(?:[|`]-- )?)(?P<name>[A-Z]\w+)(?:  |$)", line)):
            continue
        depth = len(branch["indent"])
        above = [(indent, name) for indent, name in above if indent < depth]
        if above:
            tree[above[-1][1]].append(branch["name"])
        tree[branch["name"]] = []
        above.append((depth, branch["name"]))
    return {name: below for name, below in tree.items() if below}


TREES = [(module, root, below) for module in MODULES for root, below in drawn(module).items()]


def test_the_trees_of_tools_and_models_are_found() -> None:
    """Were a tree drawn in a way that this test cannot read, it would hold nothing complete."""
    roots = {root for _, root, _ in TREES}
    assert roots >= {"ToolError", "ToolDeclarationError", "ModelError"}


@pytest.mark.parametrize(("module", "root", "below"), TREES, ids=[root for _, root, _ in TREES])
def test_a_tree_drawn_in_a_docstring_is_complete(module: ModuleType, root: str, below: list[str]) -> None:
    """Whoever catches an error by the tree misses none."""
    error = getattr(module, root)
    assert sorted(below) == sorted(
        child.__name__ for child in error.__subclasses__() if "tests" not in child.__module__
    )
