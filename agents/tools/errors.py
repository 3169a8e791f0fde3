"""What can go wrong with tools.

Errors:

    ToolError                    carries a failure code and whether to try again
    |-- InvalidArguments         the model wrote arguments that the tool's schema refuses
    |-- ToolFailed               a tool says that it cannot do this; tools raise it or a subclass
    |-- ResultNotJson            a tool returned what JSON cannot carry
    |-- UnknownTool              no tool of that name
    `-- ToolDeclarationError     a tool that must not be registered; stops the start
        |-- ToolModuleMissing
        |-- ToolModuleBroken
        |-- ToolModuleEmpty
        |-- ToolNameTaken
        `-- UnknownToolset
"""

from __future__ import annotations

from schemas.errors import OrchestratorError
from schemas.failure import Failure, FailureCode


class ToolError(OrchestratorError):
    """Something about a tool went wrong."""

    code: FailureCode = FailureCode.TOOL_FAILED
    retryable: bool = False

    def failure(self) -> Failure:
        """Return the error as it is told on the wire."""
        return Failure(code=self.code, message=str(self), retryable=self.retryable)


class InvalidArguments(ToolError):
    """Invalid arguments for {tool}: {reason}."""

    code = FailureCode.INVALID_ARGUMENTS


class ToolFailed(ToolError):
    """{reason}."""

    # Raise it with retryable=True where the same call may succeed later.


class ResultNotJson(ToolError):
    """The result of {tool} is not JSON: {reason}."""

    code = FailureCode.RESULT_NOT_JSON


class UnknownTool(ToolError):
    """Unknown tool '{name}': {advice}."""

    code = FailureCode.UNKNOWN_TOOL


class ToolDeclarationError(ToolError):
    """Tool {tool} cannot be declared: {reason}."""

    code = FailureCode.INTERNAL_ERROR


class ToolModuleMissing(ToolDeclarationError):
    """There is no module '{module}' to take tools from. Put its folder on PYTHONPATH; Python looks in: {path}."""


class ToolModuleBroken(ToolDeclarationError):
    """The tool module '{module}' cannot be imported: {reason}."""


class ToolModuleEmpty(ToolDeclarationError):
    """The module '{module}' has no tools. Decorate a function with @tool (from agents.tools.tool import tool)."""


class ToolNameTaken(ToolDeclarationError):
    """Two tools are named '{name}': one in {first}, one in {second}. Rename one with @tool(name=...)."""


class UnknownToolset(ToolDeclarationError):
    """There is no toolset '{toolset}'. The loaded tools belong to: {known}."""
