"""What is true on the wire: events, ids, topics and the one codec."""
