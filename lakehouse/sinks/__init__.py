"""What a batch is written to: history, tables of windows or keys, PostgreSQL, topics, the console."""
