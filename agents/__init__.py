"""What decides and does: planner, executor, models and tools."""
