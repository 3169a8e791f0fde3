"""The runs table: one row per run, one transaction per batch."""
