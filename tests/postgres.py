"""A real PostgreSQL for tests, started and stopped as `lake up` does it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from lakehouse.postgres import passfile
from lakehouse.postgres_server import Server


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """A server on a free port; how to connect to it, with the password in a file."""
    server = Server(folder, port=0)
    dsn = dsn_of(server)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
        try:
            until = time.monotonic() + 60
            while not answers(dsn):
                assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
            yield dsn
        finally:
            process.send_signal(2)
            process.wait(30)


def dsn_of(server: Server) -> str:
    """How to connect to it as its owner, whoever else may run one."""
    where = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres", "user": "lake"}
    return make_conninfo(**where, passfile=str(passfile(server.folder)))


def answers(dsn: str) -> bool:
    """Whether one can connect."""
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
