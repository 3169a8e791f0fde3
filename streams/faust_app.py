"""Faust apps as this project runs them: defaults changed that lose messages, cost CPU or touch topics."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

import faust
from faust.tables import TableManager

from streams.faust_consumer import in_order_transport
from streams.kafka.clients import HEARTBEAT_INTERVAL_MS, SESSION_TIMEOUT_MS

COMMIT_SECONDS = 0.5
"""How often finished offsets are committed. What was finished since is repeated after a crash, and answered from memory
or ignored."""

QUEUED_RECORDS = 2_000
"""How many records an agent's queue takes. `InOrderConsumer` stops reading an agent's topics long before that, so that
neither Faust's own brake (at four fifths) nor a full queue ever comes into it."""


class NoTables(TableManager):
    """Faust's table manager without the second it waits for tables to be declared: there are none."""

    async def on_start(self) -> None:
        """Let the streams start."""
        await self._update_channels()
        await self.recovery.start()


def new_faust_app(group: str, options: Mapping[str, Any], drain_seconds: float) -> faust.App:
    """Make an app whose id is the consumer group and which reads as `streams.faust_consumer` says."""
    servers = str(options["bootstrap_servers"]).split(",")
    app = faust.App(
        group,
        broker=[f"kafka://{server.strip()}" for server in servers],
        datadir=tempfile.gettempdir(),  # Faust makes a folder for table data; there are no tables
        autodiscover=False,
        web_enabled=False,
        TableManager=NoTables,
        topic_allow_declare=False,  # topics come from topics.yaml
        topic_disable_leader=True,
        table_standby_replicas=0,
        reply_create_topic=False,
        stream_wait_empty=True,  # ours is bounded, see InOrderConsumer.wait_empty
        stream_buffer_maxsize=QUEUED_RECORDS,
        broker_commit_interval=COMMIT_SECONDS,
        broker_session_timeout=SESSION_TIMEOUT_MS / 1000,
        broker_heartbeat_interval=HEARTBEAT_INTERVAL_MS / 1000,
        broker_request_timeout=40.0,
        consumer_auto_offset_reset="earliest",
    )
    app.transport = in_order_transport(options, drain_seconds)(app.conf.broker_consumer, app)
    return app
