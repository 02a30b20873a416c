"""Runs a job: `./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]`.

The job's Python process is the one that is started, so signals reach it and its exit code is the caller's; its Spark
session starts the JVM as a child. Spark's own flags are handed on through PYSPARK_SUBMIT_ARGS. `--deploy-mode cluster`
goes to the real spark-submit.
"""

import os
import shlex
import sys
from pathlib import Path

from lakehouse import setting_names
from lakehouse.entry import configure_logging, explain
from lakehouse.environment import clean, ours
from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import ROOT, settings
from lakehouse.spark import jars, java
from lakehouse.spark.flags import is_local, of_a_cluster, on_the_cluster, script_at

ARCHIVE = jars.FOLDER / "spark.jsa"  # class-data-sharing archive: `lake make-archive`
STREAM = "stream.py"  # the job of a domain that runs for days
# On a cluster a file system of a jar is wanted before the jar is there, to fetch it with.
_HADOOPS_OWN_FILES = (
    "--conf",
    "spark.hadoop.fs.file.impl=org.apache.hadoop.fs.LocalFileSystem",
    "--conf",
    "spark.sql.streaming.checkpointFileManagerClass="
    "org.apache.spark.sql.execution.streaming.checkpointing.FileContextBasedCheckpointFileManager",
)
USAGE = "Usage: ./spark-submit.sh [Spark's flags] jobs/<domain>/<job>.py [the job's options]"


def split(arguments: list[str]) -> tuple[list[str], Path, list[str]]:
    """Spark's flags, the script and the job's own arguments. Raises UsageError when no script is named or found."""
    at = script_at(arguments)
    if at is None:
        raise UsageError("No job was named.", USAGE)
    named = arguments[at]
    script = next((path for path in (Path(named), ROOT / named) if path.suffix == ".py" and path.is_file()), None)
    if script is None:
        raise UsageError(f"There is no script {named}.", USAGE)
    return arguments[:at], script.resolve(), arguments[at + 1 :]


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
    """JVM flags: a collector that suits two cores, what conf/platform.toml says of streams and of jobs that end, and
    the class-data-sharing archive where there is one.

    The validity rules make one long generated method; without DontCompileHugeMethods off, the JIT leaves it interpreted
    (measured: 31,000 instead of 60,000 sales/s).
    """
    streams = script is not None and script.name == STREAM
    chosen = settings().stream_java_options if streams else settings().job_java_options
    if making := os.environ.get("LAKE_MAKE_ARCHIVE"):
        shared = f" -XX:ArchiveClassesAtExit={_quoted(making)}"
    else:
        # What the JVM says of an archive that is not of this machine goes to stderr: a job's output is its answer.
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
        flags, script, options = split(sys.argv[1:])
        env = environment(flags, script)
        if on_the_cluster(flags):
            command = [
                str(jars.pyspark_home() / "bin/spark-submit"),
                *spark_flags(flags, script),
                str(script),
                *options,
            ]
        else:
            command = [sys.executable, str(script), *options]
        os.execve(command[0], command, env)
    except LakeError as error:
        code, sentence = explain(error)
        sys.stderr.write(f"Error: {sentence}\n")
        sys.exit(code)


if __name__ == "__main__":
    main()
