"""A class-data-sharing archive: the JVM maps Spark's classes from a file instead of loading and verifying each of them.

It fits one Java and one class path; where it does not, the JVM goes on without it.
"""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lakehouse.contract import discovery
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.settings import settings
from lakehouse.spark import submit
from lakehouse.spark.submit import ARCHIVE


def is_missing(names: Sequence[str] = ()) -> bool:
    """Whether there is none and a domain declares how to make one."""
    return not ARCHIVE.exists() and discovery.with_short_run(names) is not None


def make(names: Sequence[str] = ()) -> Path:
    """Write the archive with a short run of a domain's stream in a temporary folder; of a named domain if it can be.

    Raises LakeError when that fails, or no domain declares a short run.
    """
    domain = discovery.with_short_run(names)
    if domain is None:
        raise LakeError("No domain declares a short run.", "Spark starts without an archive, some seconds slower.")
    os.environ["LAKE_KAFKA_SECURITY"] = "plaintext"  # its broker listens on loopback for a minute
    settings.cache_clear()
    with tempfile.TemporaryDirectory(prefix="lake-archive-") as folder:
        made = Path(folder) / "spark.jsa"
        broker = Broker(Path(folder) / "kafka", port=0)
        env = {**os.environ, "LAKE_VAR": f"{folder}/var", "LAKE_BOOTSTRAP_SERVERS": broker.bootstrap_servers}
        with (Path(folder) / "kafka.log").open("wb") as log:
            broker.start(log)
        try:
            topics.ensure(broker.bootstrap_servers, domain.topics)
            for job in domain.short_run:
                _run(env, *domain.command(job))
            env["LAKE_MAKE_ARCHIVE"] = str(made)
            _run(env, *domain.command(domain.shared_streams[0].job), "--trigger", "available-now")
        finally:
            broker.stop()
        if not made.exists():
            raise LakeError(
                "Java wrote no class-data-sharing archive.", "Spark starts without it, some seconds slower."
            )
        aside = ARCHIVE.with_suffix(f".{os.getpid()}")
        aside.write_bytes(made.read_bytes())
        aside.replace(ARCHIVE)
    return ARCHIVE


def _run(env: dict[str, str], *job: str) -> None:
    done = subprocess.run(submit.command(*job), env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LakeError(f"{job[0]} ended with exit code {done.returncode}: {done.stderr.strip()[-300:]}")
