"""A program that writes batches to a topic as a query does: what Spark has not committed is written again.

python -m tests.lakehouse.sinks.sending SERVERS TOPIC COMMITS BATCHES: COMMITS is the file of the last committed batch.
"""

import json
import sys
from pathlib import Path
from typing import Any

from lakehouse.sinks.topic import KeyValue, TransactionalTopic
from lakehouse.streaming.batch import Batch

ROWS = 5
WRITER = "retail.alerts"


def message(row: Any) -> KeyValue:
    """The row as JSON under its number."""
    return KeyValue(str(row["row"]).encode(), json.dumps(row).encode())


def rows(number: int) -> list[dict[str, int]]:
    """The rows of a batch; the third has none."""
    return [] if number == 2 else [{"batch": number, "row": row} for row in range(ROWS)]


def batch(number: int, generation: str = "gen") -> Batch:
    """The batch of that number."""
    return Batch(generation, number, {("t", 0): number}, {("t", 0): number + 1}, None, "alerts")


def main(servers: str, topic: str, commits: str, batches: str) -> None:
    """Write the batches that the file does not have."""
    done = Path(commits)
    sink = TransactionalTopic(servers, topic, message, WRITER)
    for number in range(int(done.read_text()) + 1 if done.exists() else 0, int(batches)):
        sink.send(rows(number), batch(number))()
        done.write_text(str(number))


if __name__ == "__main__":
    main(*sys.argv[1:])
