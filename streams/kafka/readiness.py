"""When a broker that was just started is ready."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_POLL_SECONDS = 0.05
_REQUEST_MS = 5000
_GROUP, _TRANSACTION = 0, 1
"""The kinds of coordinator in Kafka's protocol."""


async def answers(bootstrap_servers: str, cluster_id: str) -> None:
    """Return as soon as the broker of that cluster counts itself as alive and can coordinate groups and transactions.

    Waits without bound: whoever calls it bounds the time and watches the process.
    """
    host, port = bootstrap_servers.split(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(_POLL_SECONDS)
            continue
        writer.close()
        # The socket listens a little before requests are served, and a fenced broker is not in its own metadata.
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            if await _is_up(bootstrap_servers, cluster_id):
                return
        await asyncio.sleep(_POLL_SECONDS)


async def _is_up(bootstrap_servers: str, cluster_id: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=_REQUEST_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        if cluster["cluster_id"] != cluster_id or not cluster["brokers"]:
            return False
        # Asking for a coordinator creates its internal topic at the first start. Else the first clients wait for that
        # with growing pauses, and log an error for each.
        for kind in (_GROUP, _TRANSACTION):
            await admin.find_coordinator("readiness", kind)
    finally:
        await admin.close()
    return True
