"""What a batch is written to: history, window tables, PostgreSQL."""
