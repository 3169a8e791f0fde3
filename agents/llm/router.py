"""The router: finds the model a request names, `provider:name`, or the default one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agents.llm.model import ChatModel, ModelUnknown

PROVIDERS_TO_COME = frozenset({"anthropic", "openai"})
"""Names that the wire contract keeps free for them."""


class Router:
    """The models of this process, by provider."""

    def __init__(self, providers: Mapping[str, ChatModel], default: str) -> None:
        """Take the providers that are set up and the default model, `provider:name` or `provider` alone."""
        self._providers = MappingProxyType(dict(providers))
        self._default = default
        self.find(None)  # a default that cannot be found must stop the start, not every request

    def find(self, name: str | None) -> ChatModel:
        """Return the model called `name`, the default one for None. Raises `ModelUnknown`."""
        wanted = name or self._default
        provider = wanted.partition(":")[0]
        model = self._providers.get(provider)
        if model is None:
            known = ", ".join(sorted(self._providers))
            later = f"{provider} comes with a later version, " if provider in PROVIDERS_TO_COME else ""
            raise ModelUnknown(name=wanted, reason=f"{later}this installation has {known}")
        return model
