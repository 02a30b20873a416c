"""What runs for a domain, as it declares it: servers, long-running processes, jobs."""

from dataclasses import dataclass
from enum import StrEnum

from lakehouse.contract.topics import Topic

SHARED_STREAM = "lakehouse.streaming.shared_stream"  # the module that runs the queries of several domains


class Server(StrEnum):
    """A server that domains need. `lakehouse.ops.servers` has how each is started, and what a user's own one is."""

    KAFKA = "kafka"
    POSTGRES = "postgres"


@dataclass(frozen=True, init=False)
class Job:
    """A script of the domain's folder under jobs/, with its arguments: `Job("produce.py", "--rate", "20")`."""

    script: str
    arguments: tuple[str, ...]

    def __init__(self, script: str, *arguments: str) -> None:
        object.__setattr__(self, "script", script)
        object.__setattr__(self, "arguments", arguments)

    @property
    def name(self) -> str:
        """The script's name without its ending."""
        return self.script.removesuffix(".py")


@dataclass(frozen=True)
class Process:
    """A script that runs for days. `lake status` names it `<domain>.<name>`.

    `queries` are the streaming queries that it runs; it is ready once each of them has reported. A process without
    queries is ready once it runs. `master` is Spark's for one that keeps its task slots for good (real-time mode): it
    has a Spark application of its own, also with --one-application.
    """

    name: str
    job: Job
    queries: tuple[str, ...] = ()
    master: str = ""


def real_time_master(requests: Topic) -> str:
    """The `master` of a process that runs a real-time query here: a slot for each partition, two for the rest."""
    return f"local[{requests.partitions + 2}]"
