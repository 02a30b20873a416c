"""Shared code of the platform: settings, tables, streams, broker, supervisor, CLI. Knows no domain."""
