"""The servers that `lake up` brings along: Kafka and PostgreSQL."""
