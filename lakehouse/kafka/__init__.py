"""Everything that speaks to Kafka: client settings, topics, readers, the producer."""
