"""Promises of the command `orchestrator`: every known error is one clear line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from aiokafka.errors import TopicAuthorizationFailedError

from streams import topology
from streams.cli import explained
from streams.cli_commands import _announcement
from streams.dev import _invitation
from streams.installation import ADDRESS_FILE, DevNotRunning, client_settings
from streams.kafka.clients import NoBroker
from streams.settings import Settings


def test_a_known_error_is_one_line_for_a_person() -> None:
    """Its path and reason, or what Kafka says, without a traceback."""
    with pytest.raises(NotADirectoryError) as error:
        (Path(__file__) / "below").mkdir()
    assert explained(error.value) == f"{Path(__file__) / 'below'}: Not a directory"
    assert "TopicAuthorizationFailedError" in str(explained(TopicAuthorizationFailedError("topic\x1b[2J")))
    assert "\x1b" not in str(explained(TopicAuthorizationFailedError("topic\x1b[2J")))
    assert "KAFKA_BOOTSTRAP_SERVERS" in str(explained(NoBroker()))


@pytest.mark.parametrize("error", [KeyError("a"), OSError("of no file"), AssertionError()])
def test_an_error_that_nobody_foresaw_keeps_its_traceback(error: Exception) -> None:
    """It is a defect of ours, and a line would hide where."""
    assert explained(error) is None


def test_a_role_announces_the_topics_it_reads_by_their_names() -> None:
    """With the prefix, and the tools' topics counted instead of listed."""
    settings = Settings(bootstrap_servers="kafka:9092", topic_prefix="p.")
    assert _announcement(settings, topology.TOOLS, "default") == (
        "tools is ready: group p.orchestrator-tools-default reads p.tool-calls-* (4 tools) at kafka:9092"
    )
    assert "reads p.requests, p.turns at" in _announcement(settings, topology.PLANNER)


def test_the_invitation_works_from_any_folder() -> None:
    """Broker and prefix are on the command line, the log's path is absolute."""
    settings = Settings(bootstrap_servers="127.0.0.1:4711", topic_prefix="p.", data_dir=Path("relative"))
    text = _invitation(settings)
    commands = [line.strip() for line in text.splitlines() if "/orchestrator " in line]
    assert len(commands) == 2
    for line in commands:
        assert line.startswith("KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:4711 ORCHESTRATOR_TOPIC_PREFIX=p. /")
    assert str(Path.cwd() / "relative" / "logs") in text
    assert "TOPIC_PREFIX" not in _invitation(Settings(bootstrap_servers="127.0.0.1:4711"))


def test_the_address_of_a_dev_that_is_gone_is_told_apart_from_a_broker_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says how to go on; while somebody listens there, the address is taken."""
    for name in Settings.environment_names():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ORCHESTRATOR_DATA_DIR", str(tmp_path))
    with socket.socket() as broker:
        broker.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{broker.getsockname()[1]}"
        (tmp_path / ADDRESS_FILE).write_text(address)
        with pytest.raises(DevNotRunning, match="Start `orchestrator dev`"):
            client_settings()
        broker.listen()
        assert client_settings().bootstrap_servers == address
    (tmp_path / ADDRESS_FILE).write_text("half a")
    with pytest.raises(DevNotRunning):
        client_settings()
