"""Promises of the logs: one JSON object per line on standard error, those of libraries included."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import logging
from structlog.stdlib import get_logger
from streams.logs import set_up_logs
set_up_logs({level!r}, "planner")
log = get_logger("ours")
{body}
"""


def logged(body: str, level: str = "INFO") -> list[dict[str, Any]]:
    """Run a program that logs, and return its lines; nothing may reach standard output."""
    command = [sys.executable, "-c", PROGRAM.format(level=level, body=body)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_is_json_with_its_level_time_role_and_facts() -> None:
    """Read by machines: whatever is in it is one line."""
    (line,) = logged('log.info("dead letter", cause="two\\nlines", offset=7)')
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "dead letter",
        "cause": "two\nlines",
        "offset": 7,
        "level": "info",
        "logger": "ours",
        "role": "planner",
    }


def test_libraries_log_in_the_same_form() -> None:
    """One stream, one format."""
    (line,) = logged('logging.getLogger("somebody").warning("slow %s", "broker")')
    assert (line["event"], line["level"], line["logger"]) == ("slow broker", "warning", "somebody")


def test_an_exception_is_in_its_line() -> None:
    """A traceback over many lines would be many records."""
    (line,) = logged("try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('a handler raised')")
    assert line["event"] == "a handler raised"
    assert "ZeroDivisionError" in line["exception"]


def test_what_is_below_the_level_is_left_out() -> None:
    """Of our own and of libraries'."""
    body = 'log.info("no"); logging.getLogger("x").info("no"); log.warning("yes")'
    assert [line["event"] for line in logged(body, "WARNING")] == ["yes"]
    assert [line["event"] for line in logged('log.debug("yes")', "DEBUG")] == ["yes"]


def test_libraries_that_talk_at_every_rebalance_are_quiet() -> None:
    """What an operator reads is what an operator can act on."""
    body = "\n".join(
        f'logging.getLogger("{name}").info("noise")' for name in ("aiokafka.consumer.fetcher", "faust", "mode")
    )
    assert logged(body, "DEBUG") == []
    assert len(logged('logging.getLogger("aiokafka").error("lost")')) == 1
