"""Ids that mean the same wherever they are computed: content-addressed, so that doing a thing again finds the first.

All hashes are the first 32 hexadecimal digits of SHA-256 over canonical JSON: UTF-8, no white space, keys sorted.
"""

from __future__ import annotations

import hashlib

import orjson

from schemas.base import Json


def canonical_json(value: Json) -> bytes:
    """Write `value` as JSON with sorted keys and no white space: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _digest(*parts: Json) -> str:
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:32]


def derived_correlation_id(topic: str, partition: int, offset: int) -> str:
    """Name a request that came without id and without key. A redelivery of the record has the same name."""
    return f"{topic}-{partition}-{offset}"


def call_id(correlation_id: str, turn: int, tool: str, arguments: Json, equal_before: int) -> str:
    """Name a call. `equal_before` counts the calls of the same turn, tool and arguments that came earlier in it.

    A plan made again after a crash gives its calls the same ids, whatever their order among unequal ones.
    """
    return _digest(correlation_id, turn, tool, arguments, equal_before)
