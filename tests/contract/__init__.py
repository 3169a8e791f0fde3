"""Tests that hold files and documents to the code."""
