"""The broker: embedded Kafka, topics and clients."""
