"""The distributed log on a Kafka topic."""
