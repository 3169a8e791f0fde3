"""When a broker that was just started is ready."""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

_POLL_SECONDS = 0.05
_REQUEST_MS = 5000


async def answers(bootstrap_servers: str, cluster_id: str) -> None:
    """Return as soon as the broker of that cluster answers a metadata request and counts itself as alive.

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
    finally:
        await admin.close()
    return cluster["cluster_id"] == cluster_id and bool(cluster["brokers"])
