"""A real PostgreSQL for tests, started and stopped as `lake up` does it."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from lakehouse.core.net import free_port
from lakehouse.embedded.postgres_server import Server, unprivileged
from lakehouse.sinks.postgres import passfile

_POOLER = """[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
"""


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


@contextmanager
def running_pooler(folder: Path, dsn: str) -> Iterator[str]:
    """A PgBouncer in session mode before the server; how to connect through it. Without one the test is skipped."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sentence = "No pooler for this test: install PgBouncer (`apt install pgbouncer`)."
        assert not os.environ.get("LAKE_REQUIRE_POOLER"), sentence
        pytest.skip(sentence)
    server, port = conninfo_to_dict(dsn), free_port()
    (users := folder / "users.txt").write_text(f'"lake" "{password_of(dsn)}"\n')
    (settings := folder / "pgbouncer.ini").write_text(_POOLER.format(server=server["port"], port=port, users=users))
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([*unprivileged(settings), program, str(settings)], stdout=log, stderr=log)
        through = f"host=127.0.0.1 port={port} dbname=postgres user=lake passfile={server['passfile']}"
        try:
            until = time.monotonic() + 20
            while not answers(through):
                assert process.poll() is None and time.monotonic() < until, (folder / "pgbouncer.log").read_text()
                time.sleep(0.1)
            yield through
        finally:
            process.terminate()
            process.wait(30)


def password_of(dsn: str, user: str = "lake") -> str:
    """The password of one of the server's users, from its file."""
    lines = Path(str(conninfo_to_dict(dsn)["passfile"])).read_text().split()
    return dict(line.split(":")[3:] for line in lines)[user]


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
