"""What a domain declares to run, as processes of the supervisor."""

from collections.abc import Sequence

from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import SHARED_STREAM, Job, Process
from lakehouse.core import run_state
from lakehouse.ops.service import Service
from lakehouse.spark import submit

SHARED = "stream"  # the process that runs the queries of all domains, with --one-application
_FIRST_REPORTS = 300  # seconds: the first batches of all queries, on a machine that may have other work


def once(domain: Domain, job: Job) -> Service:
    """A job that runs to its end."""
    return Service(f"{domain.name}.{job.name}", lambda: submit.command(*domain.command(job)), once=True)


def producer(domain: Domain) -> Service | None:
    """The demo's producer; None when the domain has none."""
    if domain.produce is None:
        return None
    words = domain.command(domain.produce)
    return Service(f"{domain.name}.produce", lambda: submit.command(*words), once=True, grace=20)


def processes(domains: Sequence[Domain], one_application: bool = False) -> list[Service]:
    """The domains' processes; with one application, a single one runs the queries that can share it."""
    declared = [(domain, process) for domain in domains for process in domain.processes]
    sharing = [domain for domain in domains if domain.shared_streams]
    shared = [_shared_stream(sharing)] if one_application and sharing else []
    own = [each for each in declared if not (one_application and each[1] in each[0].shared_streams)]
    return shared + [_process(*each) for each in own]


def _process(domain: Domain, process: Process) -> Service:
    queries = tuple(f"{domain.name}.{query}" for query in process.queries)
    flags = ("--master", process.master) if process.master else ()
    return _running(f"{domain.name}.{process.name}", (*flags, *domain.command(process.job)), queries)


def _shared_stream(domains: Sequence[Domain]) -> Service:
    queries = tuple(
        f"{domain.name}.{query}" for domain in domains for each in domain.shared_streams for query in each.queries
    )
    return _running(SHARED, ("-m", SHARED_STREAM, *(domain.name for domain in domains)), queries)


def _running(name: str, words: Sequence[str], queries: tuple[str, ...]) -> Service:
    timeout = _FIRST_REPORTS if queries else 120.0
    return Service(name, lambda: submit.command(*words), ready=_reported, timeout=timeout, queries=queries)


def _reported(service: Service) -> bool:
    """Whether each query of the service has reported since it was started."""
    files = [run_state.progress_file(*query.split(".", 1)) for query in service.queries]
    return all(file.exists() and file.stat().st_mtime > service.started_at for file in files)
