"""The distributed log: one Kafka topic."""
