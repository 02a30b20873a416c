"""`lake up`: what runs for which domain, in which order, and the checklist it prints."""

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

from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain
from lakehouse.core import net, run_state
from lakehouse.core.locks import exclusive
from lakehouse.core.net import free_port
from lakehouse.errors import LakeError, RefusedError
from lakehouse.kafka import topic_settings, topics
from lakehouse.ops import class_archive, dashboard_token, domain_services, initial_data, servers
from lakehouse.ops.service import Service
from lakehouse.ops.status import query_errors, running_processes
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.spark import jars, java

console = Console(highlight=False)
_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the page is on this machine


class How(NamedTuple):
    """Whether the demo's producers run, existing topics get our settings, a new lake begins without demo data, and
    the domains' queries share one Spark application.
    """

    produce: bool = True
    fix_topics: bool = False
    empty: bool = False
    one_application: bool = False


def up(names: Sequence[str], how: How) -> None:
    """Start what the domains declare, and the dashboard; stop all of it on Ctrl-C or SIGTERM.

    Without names: the domains of the setting `domains`. Raises LakeError with the reason when something cannot be
    started; what was started is stopped again.
    """
    domains = discovery.load_all(names or discovery.configured())
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
            _run(supervisor, domains, how)
            supervisor.run()
        finally:
            console.print("Stopping…")
            supervisor.stop()
            console.print("Stopped.")


def _run(supervisor: Supervisor, domains: Sequence[Domain], how: How) -> None:
    began, used = time.monotonic(), [domain.name for domain in domains]
    _tick(f"Java: {java.find()}")
    _tick(f"Jars: {len(list(jars.folder('spark').iterdir())) + len(list(jars.folder('broker').iterdir()))}, checked")
    dashboard, url, shown = _dashboard()
    supervisor.start(dashboard)
    for server in servers.needed(domains):
        if (said := servers.start(supervisor, server)) is None:
            return
        _tick(said)
    groups = [domains] if how.one_application else [[domain] for domain in domains]
    if not all(_start(supervisor, group, how) for group in groups) or not supervisor.wait(dashboard):
        return
    supervisor.publish(dashboard_url=url)
    later = [domain_services.once(domain, job) for domain in domains for job in domain.later]
    for service in later:
        supervisor.start(service)
    if class_archive.is_missing(used):
        supervisor.start_after(_archive(used), later)  # with a training beside it, it would take another 1.4 GB
    _tick(f"Everything runs after {time.monotonic() - began:.0f} s.")
    console.print(f"\n  Dashboard  [bold]{shown}[/]", soft_wrap=True)
    console.print("  Stop       Ctrl-C, or `lake down`\n  Look       `lake status`, `lake topics`\n")
    for domain in filter(initial_data.is_empty, domains):
        console.print(_send_your_own(domain), markup=False, soft_wrap=True)


def _start(supervisor: Supervisor, domains: Sequence[Domain], how: How) -> bool:
    """Prepare the domains, start what runs for them, and wait until it is ready; False if stopped meanwhile."""
    if not all(_prepare(supervisor, domain, how.fix_topics) for domain in domains):
        return False
    services = domain_services.processes(domains, how.one_application)
    for service in services:
        supervisor.start(service)
    for domain in domains:
        producer = domain_services.producer(domain)
        if producer and how.produce and not initial_data.is_empty(domain):
            supervisor.start(producer)  # while the stream starts: events wait on the topic
    if not all(supervisor.wait(service) for service in services):
        return False
    _say_what_runs(domains, services)
    return True


def _say_what_runs(domains: Sequence[Domain], services: Sequence[Service]) -> None:
    stopped = {name: why for service in services for name, why in query_errors(service.queries).items()}
    for reason in stopped.values():
        console.print(f"[yellow]![/] {escape(reason)}", soft_wrap=True)
    for domain in domains:
        run = [query for query in domain.queries if f"{domain.name}.{query}" not in stopped]
        ui = run_state.spark_ui(domain.name) or "off"
        _tick(f"{domain.title}: queries {', '.join(run) or 'none'} run, Spark UI: {ui}")


def _prepare(supervisor: Supervisor, domain: Domain, fix_topics: bool) -> bool:
    topics.ensure(settings().brokers(), domain.topics)
    for sentence in topic_settings.settle(settings().brokers(), domain.topics, fix_topics):
        console.print(f"[yellow]![/] {escape(sentence)}", soft_wrap=True)
    for job in initial_data.jobs(domain):
        if not _prepared(supervisor, domain, domain_services.once(domain, job)):
            return False
    initial_data.ended(domain)
    _tick(f"{domain.title}: data ready")
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


def _archive(names: Sequence[str]) -> Service:
    """Makes the next start of Spark some seconds faster; runs at the lowest priority."""
    command = ["nice", "-n", "19", str(Path(sys.executable).parent / "lake"), "make-archive", *names]
    return Service("archive", lambda: command, once=True)


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
