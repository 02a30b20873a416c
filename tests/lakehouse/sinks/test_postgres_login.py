"""A PostgreSQL of one's own: `lake psql` is `reader`, also through a pooler; a password in a DSN is shown nowhere."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from jobs.production.schema import MEANINGS, TOTALS
from lakehouse.errors import LakeError, UnavailableError, UsageError
from lakehouse.ops import crontab
from lakehouse.settings import settings
from lakehouse.sinks import postgres, postgres_login, postgres_schema
from tests.lakehouse.cli.test_main import run
from tests.postgres import password_of, running_pooler, running_postgres

CANARY = "c4nary/of@pass:w%rd"
WHO = "SELECT current_user, current_setting('TimeZone')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of somebody else's."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as dsn:
        yield dsn


@pytest.fixture
def ours(server: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A lake that has written to it."""
    use(monkeypatch, server)
    postgres_schema.create("production", (TOTALS,), MEANINGS)
    return monkeypatch


def use(patch: pytest.MonkeyPatch, dsn: str) -> None:
    """The DSN of this lake from now on."""
    patch.setenv("LAKE_POSTGRES_DSN", dsn)
    settings.cache_clear()


def url(dsn: str, user: str = "lake", password: str = "") -> str:
    """The DSN as a URL with the password in it."""
    word = (
        (password or password_of(dsn)).replace("%", "%25").replace("/", "%2F").replace("@", "%40").replace(":", "%3A")
    )
    return f"postgresql://{user}:{word}@127.0.0.1:{conninfo_to_dict(dsn)['port']}/postgres"


def who(lake: Path, *options: str) -> str:
    done = run(lake, "psql", "-At", *options, "-c", WHO)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_psql_is_reader_on_a_server_of_ones_own(server: str, lake: Path, ours: pytest.MonkeyPatch) -> None:
    assert who(lake) == "reader|UTC"
    assert who(lake, "-X") == "reader|UTC"
    use(ours, url(server))
    assert who(lake) == "reader|UTC"
    refused = run(lake, "psql", "-c", "DELETE FROM production.totals")
    assert "permission denied" in refused.stderr
    again = run(lake, "psql", "-At", "-c", "\\c postgres", "-c", WHO)
    assert again.stdout.splitlines()[-1] == "reader|UTC"


def test_psql_is_reader_through_a_pooler(server: str, lake: Path, ours: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "my.psqlrc").write_text("\\set VERBOSITY terse\n\\set mine yes\n")
    with running_pooler(tmp_path, server) as dsn:
        use(ours, dsn)
        ours.setenv("PSQLRC", str(tmp_path / "my.psqlrc"))
        assert who(lake) == "reader|UTC"
        assert run(lake, "psql", "-c", "\\echo :mine").stdout == "yes\n"  # the user's own start file counts, too
        assert "-X" in run(lake, "psql", "-AtX", "-c", WHO).stderr
        with postgres.connect("production") as connection:
            connection.rollback()
            session = connection.execute(f"{WHO}, current_schema() AS it").fetchone()
            assert session == {"it": "production", "current_user": "stream_writer", "current_setting": "UTC"}


def test_psql_without_the_role_says_how_it_comes(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_postgres(tmp_path / "postgres") as dsn:
        use(monkeypatch, dsn)
        done = run(lake, "psql", "-c", WHO)
        assert done.returncode == UnavailableError.exit_code
        assert 'role "reader" does not exist' in done.stderr and "`lake up production`" in done.stderr
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("CREATE ROLE plant LOGIN PASSWORD 'plant'")
            use(monkeypatch, url(dsn, "plant", "plant"))
            with pytest.raises(UnavailableError, match=r"does not let user plant.*CREATE ROLE stream_writer; CREATE"):
                postgres_schema.create("production", (TOTALS,), MEANINGS)
            admin.execute("ALTER ROLE plant CREATEROLE")
            admin.execute("GRANT CREATE ON DATABASE postgres TO plant")
        postgres_schema.create("production", (TOTALS,), MEANINGS)
        postgres_schema.create("production", (TOTALS,), MEANINGS)
        with postgres.connect("production") as connection:
            assert connection.execute("SELECT count(*) AS it FROM totals").fetchone() == {"it": 0}
        assert who(lake) == "reader|UTC"


def test_no_command_line_shows_the_password(server: str, lake: Path, ours: pytest.MonkeyPatch) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE ROLE canary LOGIN SUPERUSER PASSWORD 'c4nary/of@pass:w%rd'")
    for dsn in (url(server, "canary", CANARY), f"{postgres_login.public(server)} user=canary password={CANARY}"):
        use(ours, dsn)
        command = [str(Path(sys.executable).parent / "lake"), "psql", "-At", "-c", "SELECT pg_sleep(1.5), 'slept'"]
        psql = subprocess.Popen(command, env={**os.environ, "LAKE_VAR": str(lake)}, stdout=subprocess.PIPE, text=True)
        lines: set[str] = set()
        while psql.poll() is None:
            lines |= {" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])}
            time.sleep(0.05)
        assert psql.communicate()[0].strip() == "|slept"
        assert any("user=canary" in line for line in lines)
        assert not [line for line in lines if "c4nary" in line]


SPOILT = ("c4nary", "c4nary/x", "c4nary@x", "c4n%zz", "c4nary x", "c4nary:9999x/", "'c4nary")


@pytest.mark.parametrize("form", ["host=127.0.0.1 port=1 user=u password={}", "postgresql://u:{}@127.0.0.1:1/d"])
def test_no_error_crontab_or_file_shows_the_password(lake: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Whatever is wrong with the DSN: nobody answers, or the password's letters take it apart."""
    for password in SPOILT:
        use(monkeypatch, form.format(password))
        texts = [error_of(postgres.connect), error_of(crontab.block), repr(settings())]
        if password in SPOILT[:2]:
            done = run(lake, "psql", "-c", WHO)
            assert done.returncode in (UnavailableError.exit_code, UsageError.exit_code)
            texts += [done.stdout, done.stderr]
        assert "c4n" not in "\n".join(texts)
        assert not [file for file in lake.rglob("*") if file.is_file() and b"c4n" in file.read_bytes()]


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(LakeError) as error:
        call()
    return str(error.value)


def test_a_crontab_is_refused_with_the_dsn_to_take_instead(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, "postgresql://u:secret@db/plant")
    with pytest.raises(UsageError, match=r"LAKE_POSTGRES_DSN=\"user=u dbname=plant host=db passfile=/path"):
        crontab.block()
    use(monkeypatch, "user=u dbname=plant host=db passfile=/etc/lake/pgpass")
    assert "passfile=/etc/lake/pgpass" in crontab.block()


def test_the_servers_log_has_no_password_even_of_a_statement_that_failed(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the embedded server, which is given one for `reader`."""
    from lakehouse.embedded.postgres_server import Server, started

    server = Server(port=0)
    server.folder.mkdir(parents=True)
    (lake / "run").mkdir()
    with started(server):
        with psycopg.connect(postgres.dsn(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET log_statement = 'all'")
            admin.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)
        postgres_schema.create("production", (TOTALS,), MEANINGS)
        with psycopg.connect(postgres.dsn(postgres.READER)) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("reader",)
    words = [line.split(":")[4] for line in postgres.passfile(server.folder).read_text().split()]
    log = (server.folder / "log").read_text()
    assert "ALTER ROLE" in log
    assert not [word for word in words if word in log]
