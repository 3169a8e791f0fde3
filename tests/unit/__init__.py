"""Tests of one unit, no broker."""
