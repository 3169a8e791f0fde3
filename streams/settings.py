"""Every environment variable there is: named, typed and documented once. A bad value stops the start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import OrchestratorError
from schemas.request import MAX_TIMEOUT_MS

ROOT = Path(__file__).resolve().parent.parent
"""The clone or image this runs from."""

FILE_SUFFIX = "_FILE"
SECRETS = ("KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD")
"""Variables that may instead be given as `NAME_FILE`, the path of a file that holds the value."""


class SettingsInvalid(OrchestratorError):
    """The environment is not usable: {problems}. See .env.example for what each variable means."""


def _module_list(value: object) -> object:
    """Split `a.b, c.d` into module paths."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The settings of one process, frozen. Field by field what .env.example lists."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", populate_by_name=True)

    bootstrap_servers: str | None = Field(None, validation_alias="KAFKA_BOOTSTRAP_SERVERS")
    """Addresses of the broker, `host:port,host:port`. None: `orchestrator dev` starts the embedded one."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", validation_alias="KAFKA_SECURITY_PROTOCOL"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", validation_alias="KAFKA_SASL_MECHANISM"
    )
    sasl_username: SecretStr | None = Field(None, validation_alias="KAFKA_SASL_USERNAME")
    sasl_password: SecretStr | None = Field(None, validation_alias="KAFKA_SASL_PASSWORD")
    ssl_cafile: Path | None = Field(None, validation_alias="KAFKA_SSL_CAFILE")
    """Certificates of the authorities to trust; None: those of the system."""

    topic_prefix: str = Field(
        "", max_length=100, pattern=r"^[a-zA-Z0-9._-]*$", validation_alias="ORCHESTRATOR_TOPIC_PREFIX"
    )
    """Put before every topic, group and transactional id, so that installations share a cluster."""
    model: str = Field("scripted", min_length=1, validation_alias="ORCHESTRATOR_MODEL")
    """Default model, `provider:name`. This version has only `scripted`; `openai:` and `anthropic:` come later."""
    script: Path | None = Field(None, validation_alias="ORCHESTRATOR_SCRIPT")
    """Script of the scripted model; None: the built-in one."""
    tools: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_module_list), Field(min_length=1)] = Field(
        ("agents.tools.builtin",), validation_alias="ORCHESTRATOR_TOOLS"
    )
    """Modules with tools, separated by commas."""
    documents: Path | None = Field(None, validation_alias="ORCHESTRATOR_DOCUMENTS")
    """Folder that the tool search_documents reads; None: the project's docs."""
    max_parallel: Count = Field(30, validation_alias="ORCHESTRATOR_MAX_PARALLEL")
    """Tool calls that one tools process runs at once."""
    max_parallel_per_tool: Count = Field(10, validation_alias="ORCHESTRATOR_MAX_PARALLEL_PER_TOOL")
    """The same for one tool."""
    max_parallel_turns: Count = Field(100, validation_alias="ORCHESTRATOR_MAX_PARALLEL_TURNS")
    """Model turns that one planner process has under way at once."""
    timeout_ms: Count = Field(60_000, le=MAX_TIMEOUT_MS, validation_alias="ORCHESTRATOR_TIMEOUT_MS")
    """A run's deadline in milliseconds when the request names none. Planner and aggregator need the same value."""
    tool_timeout_ms: Count = Field(5_000, validation_alias="ORCHESTRATOR_TOOL_TIMEOUT_MS")
    """One attempt of one call in milliseconds when the tool names none."""
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        5.0, validation_alias="ORCHESTRATOR_DRAIN_SECONDS"
    )
    """How long a stopping process may finish what it has begun before it leaves it to the next owner."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias="ORCHESTRATOR_LOG_LEVEL")
    data_dir: Path = Field(Path(".orchestrator"), validation_alias="ORCHESTRATOR_DATA_DIR")
    """Where `orchestrator dev` keeps the embedded broker's data and the logs of its processes."""

    @classmethod
    def settings_customise_sources(  # noqa: D102 - documented by pydantic-settings
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load_settings` hands over the environment, so that one that is given is the only one that is read.
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @model_validator(mode="after")
    def _credentials_fit(self) -> Self:
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            message = (
                f"KAFKA_SECURITY_PROTOCOL={self.security_protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
            raise ValueError(message)
        for name, path in (("ORCHESTRATOR_SCRIPT", self.script), ("KAFKA_SSL_CAFILE", self.ssl_cafile)):
            if path is not None and not path.is_file():
                message = f"{name}: there is no file {path}"
                raise ValueError(message)
        if self.documents is not None and not self.documents.is_dir():
            message = f"ORCHESTRATOR_DOCUMENTS: there is no folder {self.documents}"
            raise ValueError(message)
        return self

    @classmethod
    def environment_names(cls) -> frozenset[str]:
        """Name every variable that is read, the `_FILE` forms of secrets included."""
        names = {str(field.validation_alias) for field in cls.model_fields.values()}
        return frozenset(names | {name + FILE_SUFFIX for name in SECRETS})


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the process environment (or the one given). Raises `SettingsInvalid`."""
    source = os.environ if environment is None else environment
    names = Settings.environment_names()
    values = {name: value for name, value in source.items() if name in names and value}
    try:
        return Settings.model_validate({**values, **_secrets_from_files(values)})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        problems = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ") for fault in faults]
        raise SettingsInvalid(problems="; ".join(problems).replace("Value error, ", "")) from None


def _secrets_from_files(values: Mapping[str, str]) -> dict[str, str]:
    secrets = {}
    for name in SECRETS:
        path = values.get(name + FILE_SUFFIX)
        if path is None:
            continue
        try:
            secrets[name] = Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SettingsInvalid(problems=f"{name}{FILE_SUFFIX}: cannot read {path}: {reason}") from error
    return secrets
