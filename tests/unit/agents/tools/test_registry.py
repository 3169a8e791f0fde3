"""Promises of `Registry` and `load_registry`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.tools.errors import (
    ToolError,
    ToolModuleBroken,
    ToolModuleEmpty,
    ToolModuleMissing,
    ToolNameTaken,
    UnknownTool,
    UnknownToolset,
)
from agents.tools.registry import Registry, load_registry
from agents.tools.tool import Tool
from schemas.topics import TopicNameClash, tool_topic

Write = Callable[[dict[str, str]], str]
_numbers = itertools.count()

ONE_TOOL = """
from agents.tools.tool import tool
@tool
def {name}() -> None: ...
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a package of modules with a name of its own and return that name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(files: dict[str, str]) -> str:
        name = f"tools_of_test_{next(_numbers)}"
        for path, text in {"__init__.py": "", **files}.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return name

    return write


def declared(name: str, toolset: str = "default") -> Tool:
    """Make a tool that does nothing."""
    fields: dict[str, Any] = {"name": name, "toolset": toolset, "parameters": {"type": "object"}}
    return Tool.declare(fields, lambda arguments: arguments)


def test_the_built_in_tools_are_the_default_toolset() -> None:
    """Without modules of their own users get four tools, each with a description, all in one deployment unit."""
    registry = load_registry()
    assert list(registry) == ["calculate", "current_time", "search_documents", "wait"]
    assert registry.toolset("default") == registry
    assert all(tool.spec.description for tool in registry.values())
    assert {tool.spec.effect for tool in registry.values()} == {"pure"}


def test_a_package_gives_the_tools_of_its_submodules(package: Write) -> None:
    """However deep; a tool imported by a second module is still one tool; __main__ is not run."""
    name = package(
        {
            "first.py": ONE_TOOL.format(name="first"),
            "below/__init__.py": "",
            "below/second.py": ONE_TOOL.format(name="second"),
            "again.py": "from .first import first",
            "__main__.py": "raise SystemExit",
        },
    )
    registry = load_registry([name])
    assert list(registry) == ["first", "second"]
    assert registry["first"].source == f"{name}.first.first"


def test_a_missing_module_is_named_with_the_path() -> None:
    """The error says which module and where Python looks."""
    for module in ("no_such_module", "agents.no_such_module", "agents.tools.tool.nothing", "", ".relative", "a..b"):
        with pytest.raises(ToolModuleMissing) as raised:
            load_registry(["agents.tools.builtin", module])
        assert f"'{module}'" in str(raised.value)
        assert sys.path[-1] in str(raised.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("from agents.tools import nothing", "cannot import name 'nothing'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("from agents.tools.tool import tool\n@tool\ndef bad(x): ...", "parameter 'x' has no type annotation"),
    ],
)
def test_a_broken_module_is_named_with_the_cause(package: Write, text: str, cause: str) -> None:
    """A module that exists and fails is not reported as missing."""
    name = package({"broken.py": text})
    with pytest.raises(ToolModuleBroken) as raised:
        load_registry([name])
    assert f"'{name}.broken'" in str(raised.value)
    assert cause in str(raised.value)


def test_a_module_without_tools_is_an_error() -> None:
    """It is a wrong name, or a forgotten decorator."""
    with pytest.raises(ToolModuleEmpty, match=r"'agents\.llm'.*@tool"):
        load_registry(["agents.llm"])


def test_two_tools_with_one_name_are_an_error(package: Write) -> None:
    """The error says where both are."""
    one, two = (package({"mine.py": ONE_TOOL.format(name="twin")}) for _ in range(2))
    with pytest.raises(ToolNameTaken) as raised:
        load_registry([one, two])
    assert f"{one}.mine.twin" in str(raised.value)
    assert f"{two}.mine.twin" in str(raised.value)


def test_two_tools_with_one_topic_are_an_error() -> None:
    """`look_up` and `look-up` would read each other's calls."""
    with pytest.raises(TopicNameClash, match=r"look-up.*look_up.*tool-calls-look-up"):
        Registry([declared("look_up"), declared("look-up")])


def test_a_module_named_twice_counts_once() -> None:
    """The same tool is not in its own way."""
    assert list(load_registry(["agents.tools.builtin.wait", "agents.tools.builtin.wait"])) == ["wait"]


def test_the_model_is_told_of_allowed_tools_only() -> None:
    """Sorted, so that equal requests show a model equal tools; an unknown name is an error with a suggestion."""
    registry = load_registry()
    assert [spec.name for spec in registry.specs()] == list(registry)
    assert [spec.name for spec in registry.specs(["wait", "calculate", "wait"])] == ["calculate", "wait"]
    assert registry.specs([]) == ()
    with pytest.raises(UnknownTool, match="'calculator': perhaps calculate"):
        registry.specs(["calculator"])


def test_a_tool_is_found_or_the_error_helps() -> None:
    """`find` names close names, or all when none is close."""
    registry = load_registry()
    assert registry.find("wait") is registry["wait"]
    with pytest.raises(UnknownTool, match="the tools are calculate, current_time"):
        registry.find("zzz")
    with pytest.raises(UnknownTool, match="none"):
        Registry().find("wait")
    assert "zzz" not in registry


def test_a_toolset_is_a_registry_of_its_own() -> None:
    """Only the tools of that deployment unit; one without tools is an error that lists the others."""
    registry = Registry([declared("a", "left"), declared("b", "right"), declared("c", "left")])
    assert list(registry.toolset("left")) == ["a", "c"]
    with pytest.raises(UnknownToolset, match=r"'middle'.*left, right"):
        registry.toolset("middle")


def test_a_registry_never_changes() -> None:
    """There is no way to put a tool in afterwards."""
    registry = load_registry()
    with pytest.raises(TypeError):
        registry["x"] = declared("x")  # type: ignore[index]  # that it is refused is the test
    with pytest.raises(AttributeError):
        registry.extra = 1  # type: ignore[attr-defined]  # that it is refused is the test


def test_every_tool_has_a_topic_of_its_own() -> None:
    """The four built-in tools are read from four topics."""
    assert len({tool_topic(name) for name in load_registry()}) == 4


def test_the_tree_of_errors_is_drawn_completely() -> None:
    """Each subclass of ToolError in the errors module appears in its drawing, and each name drawn exists."""
    import agents.tools.errors as module  # noqa: PLC0415 - only this test reads the module itself

    drawn = {line.split("-- ")[1].split()[0] for line in (module.__doc__ or "").splitlines() if "-- " in line}
    classes = {
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, ToolError) and value is not ToolError
    }
    assert drawn == classes
