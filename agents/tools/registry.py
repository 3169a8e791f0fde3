"""All tools of a process, by name."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Final

from agents.tools.errors import (
    ToolModuleBroken,
    ToolModuleEmpty,
    ToolModuleMissing,
    ToolNameTaken,
    UnknownTool,
    UnknownToolset,
)
from agents.tools.tool import Tool
from schemas.tool_spec import ToolSpec
from schemas.topics import TopicNameClash, tool_topic

BUILTIN_MODULE: Final = "agents.tools.builtin"


class Registry(Mapping[str, Tool]):
    """Tools by name, sorted; never changes. No two have one name or one topic."""

    __slots__ = ("_tools",)

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        """Take tools (the same object twice counts once); raise `ToolNameTaken` or `TopicNameClash`."""
        by_name: dict[str, Tool] = {}
        by_topic: dict[str, Tool] = {}
        for tool in sorted(tools, key=lambda tool: (tool.name, tool.source)):
            if by_name.get(tool.name) is tool:
                continue
            if other := by_name.get(tool.name):
                raise ToolNameTaken(name=tool.name, first=other.source, second=tool.source)
            topic = tool_topic(tool.name)
            if other := by_topic.get(topic):
                raise TopicNameClash(first=other.name, second=tool.name, topic=topic)
            by_name[tool.name] = by_topic[topic] = tool
        self._tools: Mapping[str, Tool] = MappingProxyType(by_name)

    def __getitem__(self, name: str) -> Tool:
        """Return the tool of that name; raise KeyError. `find` says more."""
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Registry({', '.join(self._tools)})"

    def find(self, name: str) -> Tool:
        """Return the tool of that name; raise `UnknownTool`, which suggests names that are close."""
        if name in self._tools:
            return self._tools[name]
        close = difflib.get_close_matches(name[:128], self._tools, n=3)
        advice = f"perhaps {' or '.join(close)}" if close else f"the tools are {', '.join(self._tools) or 'none'}"
        raise UnknownTool(name=name[:128], advice=advice)

    def specs(self, allowlist: Sequence[str] | None = None) -> tuple[ToolSpec, ...]:
        """Return what a model is told, sorted by name: all tools, or those of `allowlist`.

        An unknown name raises `UnknownTool`: a typing error would otherwise leave the model without its tool.
        """
        if allowlist is None:
            return tuple(tool.spec for tool in self._tools.values())
        return tuple(self.find(name).spec for name in sorted(set(allowlist)))

    def toolset(self, name: str) -> Registry:
        """Return the tools of one deployment unit; raise `UnknownToolset` when it has none."""
        tools = [tool for tool in self._tools.values() if tool.spec.toolset == name]
        if not tools:
            known = sorted({tool.spec.toolset for tool in self._tools.values()})
            raise UnknownToolset(toolset=name, known=", ".join(known) or "no toolset at all")
        return Registry(tools)


def load_registry(modules: Sequence[str] = (BUILTIN_MODULE,)) -> Registry:
    """Import each module (of a package its submodules too) and return all tools found in them.

    Raises a `ToolDeclarationError` that says which module is missing, broken or without tools.
    """
    return Registry(tool for module in modules for tool in _tools_of(module))


def _tools_of(name: str) -> list[Tool]:
    """Return the tools in a module's namespace and in those of its submodules."""
    found = [value for module in _modules(name) for value in vars(module).values() if isinstance(value, Tool)]
    if not found:
        raise ToolModuleEmpty(module=name)
    return found


def _modules(name: str) -> Iterator[ModuleType]:
    """Import a module and, when it is a package, everything below it in a fixed order."""
    module = _imported(name)
    yield module
    for entry in sorted(pkgutil.iter_modules(getattr(module, "__path__", ())), key=lambda entry: entry.name):
        if entry.name != "__main__":  # importing it would run a program
            yield from _modules(f"{name}.{entry.name}")


def _imported(name: str) -> ModuleType:
    """Import one module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Also raised when an import *inside* the module fails: then another name is missing.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ToolModuleMissing(module=name, path=", ".join(entry or "." for entry in sys.path)) from None
        raise ToolModuleBroken(module=name, reason=f"{type(error).__name__}: {error}") from error
    except (ValueError, TypeError) as error:
        if not name or name.startswith(".") or ".." in name:
            raise ToolModuleMissing(module=name, path=", ".join(entry or "." for entry in sys.path)) from None
        raise ToolModuleBroken(module=name, reason=f"{type(error).__name__}: {error}") from error
    except Exception as error:
        raise ToolModuleBroken(module=name, reason=f"{type(error).__name__}: {error}") from error
