"""Streaming queries: checks before a start, batches, checkpoints, progress, restarts."""
