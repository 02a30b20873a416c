"""The environment of our processes: which variables are kept, left out, and set.

Each command applies it to itself at its start (`clean`); its children inherit it.
docs/environment.md shows the rules.
"""

import os
import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from lakehouse.settings import ROOT, settings

KEPT, CLUSTER, SERVER, DROPPED = "kept", "kept for a cluster", "kept for your own server", "left out"


class Rule(NamedTuple):
    """Names of variables (with *, in any case), what is done with them, and why."""

    names: str
    decision: str
    why: str

    def covers(self, name: str) -> bool:
        """Whether the rule is for this variable."""
        return any(fnmatchcase(name.upper(), pattern) for pattern in self.names.split())


# The first rule that covers a variable decides; a variable without a rule is kept.
RULES = (
    Rule(
        "SPARK_LOCAL_IP SPARK_LOCAL_HOSTNAME SPARK_PUBLIC_DNS",
        KEPT,
        "the machine's own names and addresses; without SPARK_LOCAL_IP it is 127.0.0.1",
    ),
    Rule(
        "HADOOP_* YARN_CONF_DIR SPARK_USER",
        CLUSTER,
        "where the cluster is and who asks; with a local master its file system would take the place of the disk",
    ),
    Rule(
        "SPARK_*",
        DROPPED,
        "another Spark's home, scripts, class path and folders; ours are set by conf/spark-defaults.conf and --conf",
    ),
    Rule("PYSPARK_* PY4J_*", DROPPED, "another Python, gateway or command line than the job's own"),
    Rule("HIVE_* HBASE_* YARN_*", DROPPED, "no Hive or HBase is used"),
    Rule("JAVA_HOME", KEPT, "names the Java to use; an unfit one is refused in a sentence"),
    Rule("JAVA_TOOL_OPTIONS", KEPT, "what every Java of the site needs, such as a trust store"),
    Rule("_JAVA_OPTIONS JDK_JAVA_OPTIONS", DROPPED, "would beat our heap sizes and flags; JAVA_TOOL_OPTIONS does not"),
    Rule("CLASSPATH", DROPPED, "other programs' classes"),
    Rule("KAFKA_* LOG4J_* CONNECT_* SCHEMA_REGISTRY_*", DROPPED, "of Kafka's own scripts; LOG4J_* beats log settings"),
    Rule("PGCLIENTENCODING PGDATESTYLE PGGEQO PGTZ PGDATA", DROPPED, "other texts and times than we read"),
    Rule("PG*", SERVER, "libpq's parameters for LAKE_POSTGRES_DSN; would lead away from the embedded server"),
    Rule("PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONFAULTHANDLER", KEPT, "do not change what runs"),
    Rule("PYTHON?*", DROPPED, "other modules, warnings as errors, no assertions, another encoding"),
    Rule("VIRTUAL_ENV CONDA_* __PYVENV_LAUNCHER__", DROPPED, "another Python's environment; ours is .venv"),
    Rule("DASH_* FLASK_* WERKZEUG_* PLOTLY_* REACT_VERSION", DROPPED, "would move or change the pages"),
    Rule("BASH_ENV ENV BASH_FUNC_* SHELLOPTS BASHOPTS POSIXLY_CORRECT", DROPPED, "change the shell of Spark's scripts"),
    Rule("CDPATH IFS GREP_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL", DROPPED, "change what cd, grep and make do in scripts"),
    Rule("LC_* LANG LANGUAGE", DROPPED, "LC_ALL is set: Java writes names of files in the locale's encoding"),
)
SET = {
    "LC_ALL": "C.UTF-8",
    "PYTHONUTF8": "1",
    "PYTHONPATH": str(ROOT),
    "PGCLIENTENCODING": "UTF8",
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def process_environment(
    given: Mapping[str, str], keep: Collection[str] = (), own_server: bool = True, local: bool = False
) -> dict[str, str]:
    """The environment for a process of ours, from the given one.

    `keep`: names that are kept in spite of the rules. `own_server`: PostgreSQL is not the embedded one. `local`: Spark
    runs on this machine alone.
    """
    left_out = {DROPPED} | ({CLUSTER} if local else set()) | (set() if own_server else {SERVER})
    kept = {name: value for name, value in given.items() if name in keep or decision(name) not in left_out}
    ours = {name: value for name, value in SET.items() if name not in keep}
    return {"PATH": os.defpath, **kept, **ours, **_direct(given)}


def decision(name: str) -> str:
    """The decision of the rules about a variable of this name."""
    return next((rule.decision for rule in RULES if rule.covers(name)), KEPT)


def _direct(given: Mapping[str, str]) -> dict[str, str]:
    """With a proxy: the hosts that are connected to directly, the user's list and this machine."""
    if not any(name.lower().endswith("_proxy") for name in given):
        return {}
    listed = given.get("no_proxy") or given.get("NO_PROXY") or ""
    hosts = [host for host in re.split(r"[,\s]+", listed) if host]
    everyone = hosts if "*" in hosts else [*hosts, *(host for host in LOOPBACK if host not in hosts)]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(everyone))


def ours(local: bool = False) -> dict[str, str]:
    """The environment for a child process."""
    kept_names = re.split(r"[,\s]+", settings().keep_environment)
    return process_environment(os.environ, kept_names, own_server=settings().postgres_dsn != "embedded", local=local)


def clean() -> None:
    """Apply it to this process, its libraries and its children."""
    wanted = ours()
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
