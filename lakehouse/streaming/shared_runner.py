"""Runs queries of several domains in one Spark application: what happens to one of them leaves the others alone."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lakehouse.core.locks import exclusive
from lakehouse.core.states import QueryState
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import LakeError, RefusedError
from lakehouse.streaming.managed_query import ManagedQuery, start_failed
from lakehouse.streaming.query import Query
from lakehouse.streaming.runner import Runner

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.streaming.query import StreamingQuery


class SharedRunner(Runner):
    """A runner whose queries are refused, fail and are rebuilt each by itself.

    `build_again` makes the query of the same name as its domain declares it now.
    """

    def __init__(
        self,
        spark: "SparkSession",
        bootstrap_servers: str,
        stop: StopSignal,
        build_again: Callable[[Query], Query],
    ) -> None:
        super().__init__(spark, bootstrap_servers, stop)
        self._build_again = build_again

    def _manage(self, queries: Sequence[Query], locks: ExitStack) -> list[tuple[Query, ManagedQuery]]:
        managed = [(query, SharedQuery(query, self._start, self._build_again)) for query in queries]
        for _, shared_query in managed:
            locks.callback(shared_query.release)
        return list(managed)


class SharedQuery(ManagedQuery):
    """A query that holds its lock while it runs or waits for a restart.

    Once it is refused or has failed for good, it releases the lock, so that it can be rebuilt beside the others. It is
    started again when another process, the rebuild, has taken the lock and released it. Then it is built again, too:
    what it was built from and the tables that it had open are older than the rebuild.
    """

    def __init__(
        self, query: Query, run: Callable[[Query], "StreamingQuery"], build_again: Callable[[Query], Query]
    ) -> None:
        super().__init__(query.full_name, self._run_query)
        self._query, self._run, self._build_again = query, run, build_again
        self._is_stale = False
        self._file = query.lock
        self._lock = ExitStack()
        self._is_locked = False
        self._released_at: int | None = 0  # when this process wrote the lock file last, in ns

    def _run_query(self) -> "StreamingQuery":
        if self._is_stale:
            self._query, self._is_stale = self._build_again(self._query), False
        return self._run(self._query)

    def begin(self) -> None:
        """Start it. What keeps it from starting is its state, with the reason; nothing is raised."""
        try:
            self._acquire()
            super().begin()
        except Exception as failure:
            self._failed(start_failed(self.name, failure), str(failure))

    def poll(self) -> bool:
        """As any managed query. One that has ended is started again after a rebuild."""
        if self.ended and self.state is not QueryState.FINISHED and self._was_rebuilt():
            self._is_stale = True
            self.policy.forget()
            self.state = QueryState.BACKING_OFF
            super().poll()
            return True
        return super().poll()

    def _failed(self, reason: LakeError, error: str) -> None:
        super()._failed(reason, error)
        if self.ended:
            self.release()

    def release(self) -> None:
        """Let another process run or rebuild the query."""
        if self._is_locked:
            self._is_locked = False
            self._released_at = self._written_at()
            self._lock.close()

    def _acquire(self) -> None:
        if not self._is_locked:
            self._lock.enter_context(exclusive(self._file, f"Query {self.name}"))
            self._is_locked = True

    def _was_rebuilt(self) -> bool:
        """Whether another process has written the lock file since and has released it. If so it is ours again.

        A lock file that was deleted, as with the folder of the checkpoints, counts as written.
        """
        if self._written_at() == self._released_at:
            return False
        try:
            self._acquire()
        except RefusedError:
            return False
        return True

    def _written_at(self) -> int | None:
        """When the lock file was written last, in ns; None when it is not there."""
        try:
            return self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return None
