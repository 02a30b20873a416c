"""What the platform needs to know about a domain. The domain declares it in its schema.py; discovery finds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lakehouse.contract.models import Model
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.contract.tables import Table
from lakehouse.contract.topics import Topic
from lakehouse.errors import LakeError


@dataclass(frozen=True)
class QueryTables:
    """The topics that a streaming query reads, and the tables and topics that it writes.

    `record_tables` together hold each record of each topic once, by its coordinates (topic, partition, offset).
    `state_tables` are derived from the query's state; when that state is reset, they are emptied too.
    `postgres_tables` are those that it keeps in PostgreSQL alone; in Delta is none of them.
    """

    topics: tuple[Topic, ...]
    record_tables: tuple[Table, ...] = ()
    state_tables: tuple[Table, ...] = ()
    written_topics: tuple[Topic, ...] = ()
    postgres_tables: tuple[Table, ...] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """All of them that are in Delta."""
        return self.record_tables + self.state_tables

    @property
    def topic_names(self) -> tuple[str, ...]:
        """The names of the topics, in the order of the declaration."""
        return tuple(topic.name for topic in self.topics)

    @property
    def pool(self) -> str:
        """The query's pool in conf/fairscheduler.xml: `history` when it keeps records, else `speed`."""
        return "history" if self.record_tables else "speed"


@dataclass(frozen=True)
class Domain:
    """A domain: its names, and what runs for it. Launcher, status, Health, nightly run and compose check follow it.

    - `topics`: all its topics: those that others send to, and those that its queries write
    - `tables`: all its tables: those that queries write, the dead letters, and those that jobs write
    - `query_tables`: the streaming queries in the order shown, each with the topics it reads and what it writes
    - `services`: the servers it needs
    - `processes`: what runs for days; together they run all queries
    - `prepare`: jobs that run once before the processes; `prepare_empty` replaces them in a lake that starts without
      the data that comes with the domain
    - `produce`: the demo's producer
    - `later`: jobs that run once when everything is up
    - `recompute`: computes the batch layer; the first job of the night, and run before a rebuild empties a table
    - `nightly`: the jobs of the night after it; the audit comes after them where the domain has one
    - `short_run`: jobs after which a short run of the stream has used the classes that a long one uses; needs no server
      but Kafka. `lake make-archive` runs them; without them the archive is made with another domain's
    - `events`: the classes of the events that are sent to it: lakehouse.events
    - `models`: its models; the first is shown when none is named
    - `check`: raises LakeError when the domain's own settings are invalid
    """

    name: str
    title: str
    topics: tuple[Topic, ...]
    tables: tuple[Table, ...]
    query_tables: Mapping[str, QueryTables]
    dead_letters: Table
    services: tuple[Server, ...] = (Server.KAFKA,)
    processes: tuple[Process, ...] = ()
    prepare: tuple[Job, ...] = ()
    prepare_empty: tuple[Job, ...] = ()
    produce: Job | None = None
    later: tuple[Job, ...] = ()
    recompute: Job | None = None
    nightly: tuple[Job, ...] = ()
    short_run: tuple[Job, ...] = ()
    events: tuple[type, ...] = ()
    models: tuple[Model, ...] = ()
    check: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        run = [query for process in self.processes for query in process.queries]
        if sorted(run) != sorted(self.query_tables):
            raise LakeError(
                f"Each query of {self.name} is run by one of its processes: {', '.join(self.query_tables)}; "
                f"its processes run {', '.join(run) or 'none'}.",
                f"Correct `processes` in jobs/{self.name}/schema.py.",
            )
        queries = self.query_tables.values()
        written = [*(table for of in queries for table in of.tables), self.dead_letters]
        self._refuse_missing("tables", "every table that a query writes, and the dead letters", self.tables, written)
        topics = [topic for of in queries for topic in of.written_topics]
        self._refuse_missing("topics", "every topic that a query writes", self.topics, topics)

    def _refuse_missing(
        self, field: str, rule: str, declared: Sequence[Table | Topic], written: Sequence[Table | Topic]
    ) -> None:
        known = {each.name for each in declared}
        if lacking := [each.name for each in written if each.name not in known]:
            raise LakeError(
                f"`{field}` of {self.name} names {rule}; it lacks {', '.join(dict.fromkeys(lacking))}.",
                f"Add what is lacking to `{field}` in jobs/{self.name}/schema.py.",
            )

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the streaming queries, in the order shown."""
        return tuple(self.query_tables)

    @property
    def streams(self) -> tuple[Process, ...]:
        """The processes that run streaming queries."""
        return tuple(process for process in self.processes if process.queries)

    @property
    def shared_streams(self) -> tuple[Process, ...]:
        """Those whose queries can be run in an application with others."""
        return tuple(process for process in self.streams if not process.master)

    def path(self, job: Job) -> str:
        """The job's script, from the repository's root."""
        return f"jobs/{self.name}/{job.script}"

    def command(self, job: Job) -> tuple[str, ...]:
        """What follows ./spark-submit.sh to run the job."""
        return (self.path(job), *job.arguments)
