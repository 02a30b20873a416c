"""One folder per domain; none knows another."""
