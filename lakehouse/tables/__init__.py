"""Delta tables: reading, writing, looking for damage, upkeep."""
