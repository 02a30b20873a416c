"""What pages are built of: frame, tiles, charts, formats."""
