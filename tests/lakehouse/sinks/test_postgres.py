"""The embedded PostgreSQL: on loopback, by password, not as root; a DSN of one's own is taken as it is."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from lakehouse.embedded.postgres_server import unprivileged
from lakehouse.errors import UnavailableError
from lakehouse.settings import settings
from lakehouse.sinks import postgres
from tests.postgres import running_postgres


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, psutil.Process]]:
    """How to connect to it, and its process; under a path that is open to all, which pytest's folders are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        with running_postgres(folder := Path(name) / "postgres") as dsn:
            pid = int((folder / "data/postmaster.pid").read_text().splitlines()[0])
            yield dsn, psutil.Process(pid)


def test_it_listens_on_loopback_alone(server: tuple[str, psutil.Process]) -> None:
    sockets = server[1].net_connections()
    assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_nobody_gets_in_without_the_password(server: tuple[str, psutil.Process]) -> None:
    address, _, file = server[0].partition(" passfile=")
    with psycopg.connect(server[0]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    for word in ("", "password=lake", "password=wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{address} passfile=/dev/null {word}")
    assert Path(file).stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is another user than the one it starts")
def test_its_clock_is_utc_for_whoever_connects(server: tuple[str, psutil.Process]) -> None:
    with psycopg.connect(server[0]) as connection:
        zones = connection.execute("SELECT current_setting('timezone'), current_setting('log_timezone')").fetchone()
    assert zones == ("UTC", "UTC")


def test_a_connection_is_in_utc_whatever_the_environment_says(
    server: tuple[str, psutil.Process], lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq hands PGTZ on, and it beats the options of the connection."""
    monkeypatch.setenv("LAKE_POSTGRES_DSN", server[0])
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    settings.cache_clear()
    with postgres.connect(role=None) as connection:
        connection.rollback()
        assert connection.execute("SELECT current_setting('timezone') AS zone").fetchone() == {"zone": "UTC"}


def test_it_does_not_run_as_root(server: tuple[str, psutil.Process]) -> None:
    assert server[1].uids().real != 0


def can(command: list[str], file: Path) -> dict[str, bool]:
    """What a command run in its place may do with a file of root's."""
    doing = {"read": 'cat "$0"', "write": 'echo x >> "$0"'}
    tried = {what: subprocess.run([*command, "sh", "-c", code, str(file)], capture_output=True, check=False)
             for what, code in doing.items()}  # fmt: skip
    return {what: done.returncode == 0 for what, done in tried.items()}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has more rights than the one it starts")
def test_as_root_it_reads_no_file_that_is_not_its_own(server: tuple[str, psutil.Process], tmp_path: Path) -> None:
    passwords = server[0].partition(" passfile=")[2]
    with psycopg.connect(server[0]) as connection, pytest.raises(psycopg.Error, match="Permission denied"):
        connection.execute("SELECT pg_read_file(%s)", [passwords])
    about = dict(line.split(":\t", 1) for line in Path(f"/proc/{server[1].pid}/status").read_text().splitlines())
    assert {int(value, 16) for name, value in about.items() if name.startswith("Cap")} == {0}
    assert (about["NoNewPrivs"], about["Groups"].strip()) == ("1", "")
    private = Path(passwords).parent.parent / "private"
    private.write_text("x")
    private.chmod(0o600)
    assert can(unprivileged(private.parent / "data"), private) == {"read": False, "write": False}
    (tmp_path / "closed").mkdir(mode=0o700)
    assert can(unprivileged(tmp_path / "closed/data"), private) == {"read": True, "write": False}


def test_while_none_is_known_it_says_how_to_start_one(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="lake up"):
        postgres.dsn()
    monkeypatch.setenv("LAKE_POSTGRES_DSN", "host=db dbname=plant")
    settings.cache_clear()
    assert postgres.dsn() == "host=db dbname=plant"
