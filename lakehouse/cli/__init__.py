"""The `lake` command. Nothing else prints."""
