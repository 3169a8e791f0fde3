"""Models that plan tool calls, behind one port."""
