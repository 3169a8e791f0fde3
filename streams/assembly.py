"""How planner and tools are put together from the settings."""

from __future__ import annotations

from agents.llm.router import Router
from agents.llm.script import Script
from agents.llm.scripted import ScriptedModel
from agents.tools.registry import load_registry
from streams.planner_app import PlannerRole
from streams.settings import Settings
from streams.tools_app import ToolsRole


def new_router(settings: Settings) -> Router:
    """Set up the models. Raises `ModelUnknown` when the default one is not among them."""
    scripted = ScriptedModel(Script.load(settings.script))
    return Router({"scripted": scripted}, settings.model)


def new_planner(settings: Settings) -> PlannerRole:
    """Put a planner together."""
    return PlannerRole(settings, new_router(settings), load_registry(settings.tools))


def new_tools(settings: Settings, toolset: str) -> ToolsRole:
    """Put the tools role together for one toolset."""
    return ToolsRole(settings, load_registry(settings.tools), toolset)
