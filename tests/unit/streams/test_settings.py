"""Promises of the settings: the promised defaults, one clear line for a bad value, secrets from files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from streams.settings import Settings, SettingsInvalid, load_settings

SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "me", "KAFKA_SASL_PASSWORD": "secret"}


def problem(environment: dict[str, str]) -> str:
    """Say what is wrong with an environment; it must be one line."""
    with pytest.raises(SettingsInvalid) as error:
        load_settings(environment)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_without_any_variable_everything_has_its_promised_default() -> None:
    """The surface that users were promised."""
    settings = load_settings({})
    assert settings.bootstrap_servers is None
    assert (settings.security_protocol, settings.sasl_mechanism) == ("PLAINTEXT", "PLAIN")
    assert (settings.sasl_username, settings.sasl_password, settings.ssl_cafile) == (None, None, None)
    assert (settings.topic_prefix, settings.model, settings.script) == ("", "scripted", None)
    assert (settings.tools, settings.documents) == (("agents.tools.builtin",), None)
    assert (settings.max_parallel, settings.max_parallel_per_tool, settings.max_parallel_turns) == (30, 10, 100)
    assert (settings.timeout_ms, settings.tool_timeout_ms, settings.drain_seconds) == (60_000, 5_000, 5.0)
    assert (settings.log_level, settings.data_dir) == ("INFO", Path(".orchestrator"))


def test_every_variable_is_read(tmp_path: Path) -> None:
    """Each of them changes its setting: none is documented and ignored."""
    file = tmp_path / "file"
    file.write_text("- match: ''\n")
    environment = {
        **SASL,
        "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SSL_CAFILE": str(file),
        "ORCHESTRATOR_TOPIC_PREFIX": "team.a_",
        "ORCHESTRATOR_MODEL": "openai:gpt",
        "ORCHESTRATOR_SCRIPT": str(file),
        "ORCHESTRATOR_TOOLS": "a.b, c.d,",
        "ORCHESTRATOR_DOCUMENTS": str(tmp_path),
        "ORCHESTRATOR_MAX_PARALLEL": "1",
        "ORCHESTRATOR_MAX_PARALLEL_PER_TOOL": "2",
        "ORCHESTRATOR_MAX_PARALLEL_TURNS": "3",
        "ORCHESTRATOR_TIMEOUT_MS": "4",
        "ORCHESTRATOR_TOOL_TIMEOUT_MS": "6",
        "ORCHESTRATOR_DRAIN_SECONDS": "0.5",
        "ORCHESTRATOR_LOG_LEVEL": "DEBUG",
        "ORCHESTRATOR_DATA_DIR": str(tmp_path),
    }
    settings, defaults = load_settings(environment), load_settings({})
    assert set(environment) == {name for name in Settings.environment_names() if not name.endswith("_FILE")}
    for name in Settings.model_fields:
        assert getattr(settings, name) != getattr(defaults, name), name
    assert settings.tools == ("a.b", "c.d")
    assert settings.sasl_password == SecretStr("secret")


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every role does at its start."""
    monkeypatch.setenv("ORCHESTRATOR_MAX_PARALLEL", "7")
    assert load_settings().max_parallel == 7


def test_a_given_environment_is_the_only_one_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set around a test, or in lower case, does not come in by another door."""
    monkeypatch.setenv("ORCHESTRATOR_MAX_PARALLEL", "7")
    monkeypatch.setenv("orchestrator_timeout_ms", "9")
    assert load_settings({}) == load_settings({"UNRELATED": "x"})
    assert load_settings({}).max_parallel == 30
    assert load_settings(dict(os.environ)).timeout_ms == 60_000


def test_an_empty_variable_is_an_unset_one() -> None:
    """`KAFKA_BOOTSTRAP_SERVERS=` in a compose file means no broker is named."""
    assert load_settings(dict.fromkeys(Settings.environment_names(), "")) == load_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("KAFKA_SSL_CAFILE", "/no/such/file"),
        ("ORCHESTRATOR_TOPIC_PREFIX", "with space"),
        ("ORCHESTRATOR_TOPIC_PREFIX", "x" * 101),
        ("ORCHESTRATOR_SCRIPT", "/no/such/file"),
        ("ORCHESTRATOR_TOOLS", " , "),
        ("ORCHESTRATOR_DOCUMENTS", "/no/such/folder"),
        ("ORCHESTRATOR_MAX_PARALLEL", "many"),
        ("ORCHESTRATOR_MAX_PARALLEL", "0"),
        ("ORCHESTRATOR_MAX_PARALLEL_PER_TOOL", "-1"),
        ("ORCHESTRATOR_MAX_PARALLEL_TURNS", "1.5"),
        ("ORCHESTRATOR_TIMEOUT_MS", "0"),
        ("ORCHESTRATOR_TIMEOUT_MS", "100000000000000000"),
        ("ORCHESTRATOR_TOOL_TIMEOUT_MS", "5s"),
        ("ORCHESTRATOR_DRAIN_SECONDS", "-1"),
        ("ORCHESTRATOR_DRAIN_SECONDS", "inf"),
        ("ORCHESTRATOR_LOG_LEVEL", "verbose"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(name: str, value: str) -> None:
    """The start stops with what to mend."""
    assert name in problem({name: value})


def test_all_bad_values_are_named_at_once() -> None:
    """Nobody mends them one start at a time."""
    text = problem({"ORCHESTRATOR_TIMEOUT_MS": "x", "ORCHESTRATOR_LOG_LEVEL": "y"})
    assert "ORCHESTRATOR_TIMEOUT_MS" in text
    assert "ORCHESTRATOR_LOG_LEVEL" in text


@pytest.mark.parametrize("missing", ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_sasl_needs_user_and_password(missing: str) -> None:
    """Without them the broker would refuse, minutes later and less clearly."""
    assert missing in problem({name: value for name, value in SASL.items() if name != missing})


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    """As Kubernetes and Docker mount them; the line feed at the end is not part of it."""
    file = tmp_path / "password"
    file.write_text("from file\n")
    environment = {**SASL, "KAFKA_SASL_PASSWORD": "", "KAFKA_SASL_PASSWORD_FILE": str(file)}
    password = load_settings(environment).sasl_password
    assert password is not None
    assert password.get_secret_value() == "from file"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    """Missing, or not text."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    text = problem({"KAFKA_SASL_PASSWORD_FILE": str(file)})
    assert "KAFKA_SASL_PASSWORD_FILE" in text
    assert str(file) in text


def test_secrets_are_never_shown() -> None:
    """Neither in a log of the settings, nor in the message about another fault."""
    assert "secret" not in repr(load_settings(SASL))
    assert "secret" not in problem({**SASL, "ORCHESTRATOR_LOG_LEVEL": "x"})


def test_settings_do_not_change() -> None:
    """One frozen object for the life of the process."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings({}).model = "other"  # type: ignore[misc] # the promise is that this fails
