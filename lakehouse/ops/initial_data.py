"""Whether a domain began in this lake with the data that comes with it, or empty, for the user's own data."""

from pathlib import Path

from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Job
from lakehouse.core import files, records, run_state
from lakehouse.errors import RefusedError, UsageError
from lakehouse.settings import settings

FORMAT = 1


def note(domain: Domain) -> Path:
    """The file that says that the domain began empty; it goes with the domain's other data."""
    return settings().var / "data" / domain.name / "began-empty.json"


def is_empty(domain: Domain) -> bool:
    """Whether the domain began empty in this lake."""
    return note(domain).exists()


def begin_empty(domain: Domain) -> None:
    """Note that the domain begins without the data that comes with it; no error when that was noted before.

    Raises UsageError when it cannot, RefusedError when its data is in the lake.
    """
    if not domain.prepare_empty:
        raise UsageError(
            f"{domain.title} ({domain.name}) cannot begin with --empty: no data comes with it.",
            f"Start it without --empty; `lake up {domain.name} --no-produce` leaves out the demo's producer.",
        )
    folder = note(domain).parent
    if is_empty(domain):
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise RefusedError(
            f"{domain.title} cannot begin with --empty: this lake already has initial data, in {folder}.",
            f"Start another lake beside it: `LAKE_VAR=<another folder> lake up {domain.name} --empty`.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write(domain, prepared=False)


def jobs(domain: Domain) -> tuple[Job, ...]:
    """The jobs that prepare the domain's data in this lake. Where it began empty, they run once only.

    Raises NewerFormatError when a newer version of the platform noted that it began empty.
    """
    if not is_empty(domain):
        return domain.prepare
    return () if _is_prepared(domain) else domain.prepare_empty


def _is_prepared(domain: Domain) -> bool:
    values = run_state.read_json(note(domain))
    records.check_format(values, FORMAT, f"The file {note(domain)}")
    return bool(values.get("prepared"))


def _write(domain: Domain, prepared: bool) -> None:
    files.replace_json(note(domain), {"format": FORMAT, "prepared": prepared})


def ended(domain: Domain, refused: bool = False) -> None:
    """Note how the jobs ended. If they refused to begin, the domain has not begun empty."""
    if not is_empty(domain):
        return
    if not refused:
        _write(domain, prepared=True)
    elif not _is_prepared(domain):
        note(domain).unlink()
