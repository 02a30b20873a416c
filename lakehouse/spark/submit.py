"""Runs a job: `./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]`.

Instead of a script it takes a module: `-m lakehouse.tables.maintain`. The job's Python process is the one that is
started, so signals go to it and its exit code is the caller's; its Spark session starts the JVM as a child. Spark's own
flags are passed through PYSPARK_SUBMIT_ARGS. `--deploy-mode cluster` goes to the real spark-submit.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from lakehouse import setting_names
from lakehouse.contract.discovery import runs_for_days
from lakehouse.entry import configure_logging, explain
from lakehouse.environment import clean, ours
from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import ROOT, settings
from lakehouse.spark import jars, java
from lakehouse.spark.flags import MODULE, is_local, of_a_cluster, on_the_cluster, script_at

ARCHIVE = jars.FOLDER / "spark.jsa"  # class-data-sharing archive: `lake make-archive`
# On a cluster, Spark fetches the jars with a file system, which must not come from one of them.
_HADOOPS_OWN_FILES = (
    "--conf",
    "spark.hadoop.fs.file.impl=org.apache.hadoop.fs.LocalFileSystem",
    "--conf",
    "spark.sql.streaming.checkpointFileManagerClass="
    "org.apache.spark.sql.execution.streaming.checkpointing.FileContextBasedCheckpointFileManager",
)
USAGE = "Usage: ./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]"


class Job(NamedTuple):
    """A job to run: a script, or a module, whose folder is not put on Python's path."""

    script: Path
    module: str = ""

    def command(self) -> list[str]:
        """How Python runs it."""
        return [sys.executable, "-P", "-m", self.module] if self.module else [sys.executable, str(self.script)]


def command(*job: str) -> list[str]:
    """How another process of ours runs a job: what follows ./spark-submit.sh on the command line."""
    return [sys.executable, "-m", "lakehouse.spark.submit", *job]


def split(arguments: list[str]) -> tuple[list[str], Job, list[str]]:
    """Spark's flags, the job and the job's own arguments. Raises UsageError when no job is named or found."""
    at = script_at(arguments)
    if at is None:
        raise UsageError("No job was named.", USAGE)
    if arguments[at] == MODULE:
        name = "".join(arguments[at + 1 : at + 2])
        return arguments[:at], _of_module(name), arguments[at + 2 :]
    named = arguments[at]
    script = next((path for path in (Path(named), ROOT / named) if path.suffix == ".py" and path.is_file()), None)
    if script is None:
        raise UsageError(f"There is no script {named}.", USAGE)
    return arguments[:at], _of_script(script.resolve()), arguments[at + 1 :]


def _of_module(name: str) -> Job:
    script = ROOT / f"{name.replace('.', '/')}.py"
    if not script.is_file():
        raise UsageError(f"There is no module {name!r}.", "For example: -m lakehouse.tables.maintain")
    return Job(script, name)


def _of_script(script: Path) -> Job:
    """A script of the platform runs as a module: its folder has names that other packages have, too."""
    if not script.is_relative_to(ROOT / "lakehouse"):
        return Job(script)
    return Job(script, ".".join(script.relative_to(ROOT).with_suffix("").parts))


def spark_flags(given: list[str], script: Path | None = None) -> list[str]:
    """The flags for Spark: ours (defaults file, jars) first, the given ones after them, since the last one wins."""
    spark_jars = sorted(str(path) for path in jars.folder("spark").glob("*.jar"))
    ours = ["--properties-file", str(ROOT / "conf/spark-defaults.conf")]
    if is_local(given):
        # A plain class path starts a second faster than --jars, which copies each jar to the executors.
        ours += ["--driver-class-path", os.pathsep.join(spark_jars)]
    else:
        ours += ["--jars", ",".join(spark_jars), *_HADOOPS_OWN_FILES, *of_a_cluster(given)]
    ours += [
        "--driver-java-options",
        f"-Dlog4j2.configurationFile={(ROOT / 'conf/log4j2.properties').as_uri()} {_java_options(script)}",
    ]
    ours += ["--conf", f"spark.scheduler.allocation.file=file://{ROOT}/conf/fairscheduler.xml"]
    return ours + given


def _java_options(script: Path | None) -> str:
    """JVM flags: a collector that suits two cores, the options in conf/platform.toml for what runs for days or for what
    ends, and the class-data-sharing archive if it exists.

    The validity rules become one long generated method, which the JIT compiles only with DontCompileHugeMethods off
    (measured: 60,000 instead of 31,000 sales/s).
    """
    for_days = script is not None and runs_for_days(script)
    chosen = settings().stream_java_options if for_days else settings().job_java_options
    if making := os.environ.get("LAKE_MAKE_ARCHIVE"):
        shared = f" -XX:ArchiveClassesAtExit={_quoted(making)}"
    else:
        # Warnings about an archive of another machine go to stderr: stdout is for the job's own output.
        quiet = "-Xlog:disable -Xlog:all=error:stderr"
        shared = f" -XX:SharedArchiveFile={_quoted(str(ARCHIVE))} -Xshare:auto {quiet}" if ARCHIVE.exists() else ""
    return f"-XX:+UseParallelGC -XX:-UsePerfData -XX:-DontCompileHugeMethods{shared} {chosen}".rstrip()


def _quoted(word: str) -> str:
    """A word as Spark reads it in Java options, which it splits at blanks."""
    return '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"'))


def environment(flags: list[str], script: Path | None = None) -> dict[str, str]:
    """The environment in which the job's Python process finds our code, Java and Spark's flags."""
    program = Path(java.find())
    return {
        **ours(local=is_local(flags)),
        "JAVA_HOME": os.environ.get("JAVA_HOME") or str(program.resolve().parent.parent),
        "SPARK_HOME": str(jars.pyspark_home()),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": shlex.join([*spark_flags(flags, script), "pyspark-shell"]),
        "SPARK_LAUNCHER_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # a JVM that only builds a command line
        "SPARK_LOCAL_IP": os.environ.get("SPARK_LOCAL_IP", "127.0.0.1"),
    }


def main() -> None:
    """Become the job's process."""
    configure_logging()
    try:
        setting_names.check_names(os.environ)
        clean()
        flags, job, options = split(sys.argv[1:])
        env = environment(flags, job.script)
        if on_the_cluster(flags):
            words = [
                str(jars.pyspark_home() / "bin/spark-submit"),
                *spark_flags(flags, job.script),
                str(job.script),
                *options,
            ]
        else:
            words = [*job.command(), *options]
        os.execve(words[0], words, env)
    except LakeError as error:
        code, sentence = explain(error)
        sys.stderr.write(f"Error: {sentence}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
