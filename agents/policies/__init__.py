"""Retry, limits, caches and guards around calls."""
