"""What the pages watch: one snapshot of the lake a second. Knows no domain."""
