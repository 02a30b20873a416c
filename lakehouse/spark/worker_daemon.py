"""Spark's daemon of Python workers, which has imported what they decode events with before it forks the first one.

A worker that imports it itself starts half a second later, in the first batch of each query.
"""

from pyspark.daemon import manager

import lakehouse.events.reader  # noqa: F401

if __name__ == "__main__":
    manager()
