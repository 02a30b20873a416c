"""Where the embedded PostgreSQL listens: postgres.json, which the server's process writes for the others."""

from dataclasses import asdict, dataclass
from pathlib import Path

from lakehouse.core import records, run_state
from lakehouse.settings import settings

FORMAT = 1


@dataclass(frozen=True)
class PostgresAddress:
    """The port on loopback: the content of postgres.json."""

    port: int
    format: int = FORMAT


def address_file() -> Path:
    """The file that says on which port the embedded server listens."""
    return settings().run / "postgres.json"


def write(port: int) -> None:
    """Write down where the server is, for other processes."""
    run_state.write_json(address_file(), asdict(PostgresAddress(port)))


def read() -> PostgresAddress | None:
    """Where the server is; None when it does not run. Raises NewerFormatError when a newer version started it."""
    values = run_state.read_json(address_file())
    stored = records.check_format(values, FORMAT, f"The file {address_file()}")
    return PostgresAddress(int(values["port"]), stored) if "port" in values else None
