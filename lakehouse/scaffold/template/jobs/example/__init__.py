"""Example: events of things, counted per minute."""
