"""The servers that domains need: how each is started, and what is done where the user has one of their own.

A new kind is a name in `contract.runs.Server` and an entry in `KINDS` here.
"""

import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Server
from lakehouse.embedded import kafka_broker, postgres_server
from lakehouse.kafka import topics
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.sinks import postgres


class Kind(ABC):
    """A kind of server. It is embedded unless a setting names one of the user's own."""

    @abstractmethod
    def is_embedded(self) -> bool:
        """Whether `lake up` starts it."""

    @abstractmethod
    def check(self) -> str:
        """What to say of the user's own server, which answers. Raises UnavailableError when it does not."""

    @abstractmethod
    def service(self) -> Service:
        """The embedded server's process."""

    @abstractmethod
    def announce(self) -> str:
        """Write down where the embedded server is, which is ready; what to say of it."""

    def address(self) -> str | None:
        """The address of Kafka, for `lake status`; None for another kind."""
        return None

    def delete_data(self, domain: str) -> None:  # noqa: B027 (most servers keep nothing of a domain)
        """Delete what the server keeps of the domain, when the lake is reset."""


class Kafka(Kind):
    """The broker. Topics stay at a reset of one domain."""

    def is_embedded(self) -> bool:
        return settings().bootstrap_servers == "embedded"

    def check(self) -> str:
        topics.check(settings().brokers())
        return f"Kafka: {settings().brokers()}"

    def service(self) -> Service:
        settings().broker_file.unlink(missing_ok=True)
        self._broker = broker = kafka_broker.Broker()
        return Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30)

    def announce(self) -> str:
        self._broker.announce()
        login = ", by TLS and login" if self._broker.secure else ""
        return f"Kafka: {self._broker.bootstrap_servers}{login}"

    def address(self) -> str:
        return settings().brokers()


class Postgres(Kind):
    """PostgreSQL. A domain has a schema of its name there."""

    def is_embedded(self) -> bool:
        return postgres.embedded()

    def check(self) -> str:
        postgres.connect(role=None).close()
        return "PostgreSQL: answers"

    def service(self) -> Service:
        self._server = server = postgres_server.Server()
        stop = signal.SIGINT  # a fast shutdown: it does not wait for clients
        return Service("postgres", server.command, ready=lambda _: server.ready(), grace=30, stop_signal=stop)

    def announce(self) -> str:
        return f"PostgreSQL: 127.0.0.1:{self._server.port}, look with `lake psql`"

    def delete_data(self, domain: str) -> None:
        postgres_server.delete_schema(domain)


KINDS: Mapping[Server, type[Kind]] = {Server.KAFKA: Kafka, Server.POSTGRES: Postgres}


def needed(domains: Iterable[Domain]) -> list[Server]:
    """The servers that the domains need, each once, in the order in which they are started; Kafka always."""
    wanted = {Server.KAFKA, *(server for domain in domains for server in domain.services)}
    return [server for server in KINDS if server in wanted]


def start(supervisor: Supervisor, server: Server) -> str | None:
    """Start the server, or check the user's own; what to say of it, None if stopped meanwhile. Raises LakeError."""
    kind = KINDS[server]()
    if kind.is_embedded():
        supervisor.start(service := kind.service())
        if not supervisor.wait(service):
            return None
        said = kind.announce()
    else:
        said = kind.check()
    supervisor.publish(bootstrap_servers=kind.address())
    return said


def delete_data(domain: Domain, with_var: bool) -> None:
    """Delete what the domain has in servers; not in embedded ones if `var`, where those keep it, goes too."""
    for server in domain.services:
        kind = KINDS[server]()
        if not (with_var and kind.is_embedded()):
            kind.delete_data(domain.name)
