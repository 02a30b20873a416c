"""Named points at which a test may have the process killed: a run with LAKE_FAULT=<point>:<batch> dies there.

Without that variable a point does nothing. A batch crosses them in this order, and again when it is run again:
`<query>.before`, those between its writes, `<query>.written`, after which Spark commits the batch. Between the writes
are `<query>.appended` for a query of records, `<query>.upserted` for each serving table and then `<query>.logged`; a
transactional topic has `<query>.sent` before its commit and `<query>.published` after it. The next batch's `before` is
after the commit.
"""

import os
import signal
from functools import cache

_java: list[int] = []  # not inherited: a process that this one starts has another JVM


@cache
def _wanted() -> tuple[str, int] | None:
    name, _, batch = os.environ.get("LAKE_FAULT", "").rpartition(":")
    return (name, int(batch)) if name else None


def arm(java_pid: int) -> None:
    """Set the JVM that is killed along with this process."""
    _java[:] = [java_pid]


def point(name: str, batch_id: int) -> None:
    """Kill the JVM and this process with SIGKILL when this is the point and the batch that LAKE_FAULT names."""
    if _wanted() != (name, batch_id):
        return
    for java in _java:
        os.kill(java, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
