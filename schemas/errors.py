"""The one root of every error this project raises.

    OrchestratorError
    |-- (schemas)  TopicsFileInvalid, TopicNameClash, ...
    |-- (agents)   ToolError, ModelError, ...
    `-- (streams)  SettingsError, EmbeddedBrokerUnavailable, ...

The docstring of a subclass is its message: a `str.format` template over the keyword arguments it is raised with.
"""

from __future__ import annotations

import inspect


class OrchestratorError(Exception):
    """Something in the orchestrator went wrong."""

    def __init__(self, **facts: object) -> None:
        """Keep the facts as attributes and build the message from the class docstring."""
        self.facts = facts
        self.__dict__.update(facts)
        super().__init__(inspect.cleandoc(type(self).__doc__ or "").format(**facts))
