"""Tools, their registry and what is built in."""
