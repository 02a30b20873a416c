"""Makes sure that no stream, job or maintenance runs while `lake reset` deletes files, whoever started it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lakehouse.contract.domain import Domain
from lakehouse.core.locks import exclusive
from lakehouse.errors import RefusedError
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints

_GENERAL = {"lake": "The lake", "nightly": "The nightly run", "maintain": "The maintenance"}


@contextmanager
def quiet(domains: Sequence[Domain]) -> Iterator[None]:
    """Keep the domains' queries and jobs from starting while the block runs. Raises RefusedError when one runs."""
    with ExitStack() as locks:
        for lock, what in [*_locks(domains)]:
            try:
                locks.enter_context(exclusive(lock, what))
            except RefusedError as busy:
                sentence = busy.what.replace("is already running", "is running").rstrip(".")
                raise RefusedError(f"{sentence}; its files cannot be deleted under it.", busy.fix) from None
        yield


def _locks(domains: Sequence[Domain]) -> Iterator[tuple[Path, str]]:
    run = settings().run
    for name, what in _GENERAL.items():
        yield run / f"{name}.lock", what
    for domain in domains:
        for query in domain.queries:
            yield checkpoints.path(domain.name, query).with_suffix(".lock"), f"Query {domain.name}.{query}"
        for lock in sorted(run.glob(f"{domain.name}.*.lock")):  # a job that has never run has none
            yield lock, f"The job {lock.stem}"
