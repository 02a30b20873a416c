"""`lake up`: what runs for which domain, in which order, and the checklist it prints."""

import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

from lakehouse.contract.discovery import load_all
from lakehouse.contract.domain import Domain
from lakehouse.core import net, run_state
from lakehouse.core.locks import exclusive
from lakehouse.core.net import free_port
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.errors import LakeError, RefusedError
from lakehouse.kafka import topic_settings, topics
from lakehouse.ops import dashboard_token, initial_data
from lakehouse.ops.service import Service
from lakehouse.ops.status import running_processes
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.spark import jars, java, submit

console = Console(highlight=False)
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the page is on this machine


class How(NamedTuple):
    """Whether the demo's producers run, existing topics get our settings, and a new lake begins without demo data."""

    produce: bool = True
    fix_topics: bool = False
    empty: bool = False


def up(names: Sequence[str], how: How) -> None:
    """Start broker, streams, producers and dashboard of the domains; stop all of them on Ctrl-C or SIGTERM.

    Raises LakeError with the reason when something cannot be started; what was started is stopped again.
    """
    domains = load_all(names)
    for domain in domains:
        if domain.check:
            domain.check()
    with exclusive(settings().run / "lake.lock", "The lake"):
        if left := running_processes():
            names_left = ", ".join(process.name for process in left)
            raise LakeError(f"Processes of an earlier run are still running: {names_left}.", "Stop them: `lake down`.")
        for domain in domains if how.empty else ():
            initial_data.begin_empty(domain)
        used, now = [domain.name for domain in domains], datetime.now(UTC).isoformat()
        supervisor = Supervisor(lambda line: console.print(f"[yellow]![/] {line}"), used, now)
        supervisor.handle_signals()
        try:
            _start(supervisor, domains, how)
            supervisor.run()
        finally:
            console.print("Stopping…")
            supervisor.stop()
            console.print("Stopped.")


def _start(supervisor: Supervisor, domains: Sequence[Domain], how: How) -> None:
    began = time.monotonic()
    _tick(f"Java: {java.find()}")
    _tick(f"Jars: {len(list(jars.folder('spark').iterdir())) + len(list(jars.folder('broker').iterdir()))}, checked")
    dashboard, url, shown = _dashboard()
    supervisor.start(dashboard)
    if not _start_broker(supervisor):
        return
    if any(domain.postgres for domain in domains) and not _start_postgres(supervisor):
        return
    for domain in domains:
        topics.ensure(settings().brokers(), domain.topics)
        for sentence in topic_settings.settle(settings().brokers(), domain.topics, how.fix_topics):
            console.print(f"[yellow]![/] {escape(sentence)}", soft_wrap=True)
        if not _start_domain(supervisor, domain, how.produce):
            return
    if not supervisor.wait(dashboard):
        return
    supervisor.publish(dashboard_url=url)
    later = [_once(domain, job) for domain in domains for job in domain.later]
    for service in later:
        supervisor.start(service)
    if not submit.ARCHIVE.exists():
        supervisor.start_after(_archive(), later)  # with a training beside it, it would take another 1.4 GB
    _tick(f"Everything runs after {time.monotonic() - began:.0f} s.")
    console.print(f"\n  Dashboard  [bold]{shown}[/]", soft_wrap=True)
    console.print("  Stop       Ctrl-C, or `lake down`\n  Look       `lake status`, `lake topics`\n")
    for domain in filter(initial_data.is_empty, domains):
        console.print(_send_your_own(domain), markup=False, soft_wrap=True)


def _start_broker(supervisor: Supervisor) -> bool:
    if settings().bootstrap_servers != "embedded":
        topics.check(settings().brokers())
        supervisor.publish(bootstrap_servers=settings().brokers())
        _tick(f"Kafka: {settings().brokers()}")
        return True
    settings().broker_file.unlink(missing_ok=True)
    broker = Broker()
    service = Service("kafka", broker.command, ready=lambda _: broker.ready(), grace=30)
    supervisor.start(service)
    if not supervisor.wait(service):
        return False
    broker.announce()
    supervisor.publish(bootstrap_servers=broker.bootstrap_servers)
    _tick(f"Kafka: {broker.bootstrap_servers}{', by TLS and login' if broker.secure else ''}")
    return True


def _start_postgres(supervisor: Supervisor) -> bool:
    from lakehouse.embedded.postgres_server import Server
    from lakehouse.sinks import postgres

    if not postgres.embedded():
        postgres.connect(role=None).close()
        _tick("PostgreSQL: answers")
        return True
    server = Server()
    stop = signal.SIGINT  # a fast shutdown: it does not wait for clients
    service = Service("postgres", server.command, ready=lambda _: server.ready(), grace=30, stop_signal=stop)
    supervisor.start(service)
    if not supervisor.wait(service):
        return False
    _tick(f"PostgreSQL: 127.0.0.1:{server.port}, look with `lake psql`")
    return True


def _start_domain(supervisor: Supervisor, domain: Domain, produce: bool) -> bool:
    for job in initial_data.jobs(domain):
        if not _prepared(supervisor, domain, _once(domain, job)):
            return False
    initial_data.ended(domain)
    _tick(f"{domain.title}: data ready")
    stream = Service(
        f"{domain.name}.stream",
        lambda: submit.command(f"jobs/{domain.name}/stream.py"),
        ready=lambda service: _streaming(domain, service),
        timeout=300,  # both queries' first batches, on a machine that may have other work
    )
    supervisor.start(stream)
    if domain.produce and produce and not initial_data.is_empty(domain):
        producer = Service(f"{domain.name}.produce", lambda: submit.command(*domain.produce), once=True, grace=20)
        supervisor.start(producer)  # while the stream starts: events wait on the topic
    if not supervisor.wait(stream):
        return False
    ui = run_state.spark_ui(domain.name) or "off"
    _tick(f"{domain.title}: queries {', '.join(domain.queries)} run, Spark UI: {ui}")
    return True


def _prepared(supervisor: Supervisor, domain: Domain, service: Service) -> bool:
    supervisor.start(service)
    try:
        return supervisor.wait(service)
    except LakeError:
        if service.process and service.process.returncode == RefusedError.exit_code:
            initial_data.ended(domain, refused=True)
        raise


def _send_your_own(domain: Domain) -> str:
    """What to do with a domain that began empty, whose demo producer does not run."""
    read = dict.fromkeys(topic for tables in domain.query_tables.values() for topic in tables.topics)
    topics = " and ".join(f"topic {topic.name} ({topic.about})" for topic in read)
    return (
        f"  {domain.title} began empty, and no producer runs. Send your own to {topics} at {settings().brokers()} "
        "(README, Your own data).\n"
        "  Once there is enough data, `lake nightly` computes what is derived from it, such as a model.\n"
    )


def _once(domain: Domain, job: Sequence[str]) -> Service:
    name = f"{domain.name}.{job[0].rsplit('/', 1)[-1].removesuffix('.py')}"
    return Service(name, lambda: submit.command(*job), once=True)


def _archive() -> Service:
    """Makes the next start of Spark some seconds faster; runs at the lowest priority."""
    command = ["nice", "-n", "19", str(Path(sys.executable).parent / "lake"), "make-archive"]
    return Service("archive", lambda: command, once=True)


def _streaming(domain: Domain, service: Service) -> bool:
    """Whether each query of the domain has reported progress since the service was started."""
    files = [run_state.progress_file(domain.name, query) for query in domain.queries]
    return all(file.exists() and file.stat().st_mtime > service.started_at for file in files)


def _dashboard() -> tuple[Service, str, str]:
    """The dashboard, its address on this machine, and the one to print: with the token when that is new."""
    host, port = settings().dashboard_host, free_port(settings().dashboard_port)
    url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    shown = url if net.is_loopback(host) else _with_token(f"http://{socket.gethostname()}:{port}")
    command = [sys.executable, "-m", "dashboard.app", "--host", host, "--port", str(port)]
    return Service("dashboard", lambda: command, ready=lambda _: _answers(f"{url}/health"), grace=10), url, shown


def _with_token(address: str) -> str:
    token, made = dashboard_token.token()
    return f"{address}/?token={token}" if made else f"{address} (token in {dashboard_token.token_file()})"


def _answers(url: str) -> bool:
    try:
        with _WITHOUT_PROXY.open(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _tick(line: str) -> None:
    console.print(f"[green]✓[/] {line}")
