"""Spark's flags as spark-submit reads them: as one word or two, by short names, from a properties file."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lakehouse.errors import UsageError
from lakehouse.settings import ROOT

DEFAULTS = ROOT / "conf/spark-defaults.conf"
ON_A_CLUSTER = ROOT / "conf/cluster-defaults.conf"
_PROPERTY = re.compile(r"\s*([^\s=:#!][^\s=:]*)\s*[=:]?\s*(.*)")
MODULE = "-m"  # before the name of a module: not one of Spark's flags
_CONF = ("--conf", "-c")
_OWN_FLAGS = {"spark.master": "--master", "spark.submit.deployMode": "--deploy-mode"}
_WITHOUT_VALUE = {"--supervise", "--verbose", "-v", "--help", "-h", "--version", "--usage-error"}
_WITHOUT_VALUE |= {"--load-spark-defaults", "--skip-init"}


def is_local(given: Sequence[str]) -> bool:
    """Whether Spark runs on this machine alone."""
    master = wanted(given, "spark.master") or "local[*]"
    return master == "local" or master.startswith("local[")


def on_the_cluster(given: Sequence[str]) -> bool:
    """Whether the driver, too, runs on the cluster."""
    return wanted(given, "spark.submit.deployMode") == "cluster"


def wanted(given: Sequence[str], name: str) -> str | None:
    """The value of a setting: its own flag's, else that of --conf, else that of the properties file."""
    pairs = list(_pairs(given))
    own = [value for flag, value in pairs if flag == _OWN_FLAGS.get(name)]
    conf = [value.partition("=")[2] for flag, value in pairs if flag in _CONF and value.partition("=")[0] == name]
    return (own or conf)[-1] if own or conf else properties(file_of(given)).get(name)


def file_of(given: Sequence[str]) -> Path:
    """The properties file: the last one given, else ours."""
    return Path(([value for flag, value in _pairs(given) if flag == "--properties-file"] or [str(DEFAULTS)])[-1])


def properties(file: Path) -> dict[str, str]:
    """A file of Spark's properties. Raises UsageError when it cannot be read."""
    try:
        text = file.read_text()
    except OSError as error:
        raise UsageError(f"The properties file {file} cannot be read: {error.strerror}.") from None
    return {match[1]: match[2].rstrip() for line in text.splitlines() if (match := _PROPERTY.match(line))}


def of_a_cluster(given: Sequence[str]) -> list[str]:
    """The settings that differ on a cluster, as flags; none when the user gives a properties file."""
    if file_of(given) != DEFAULTS:
        return []
    return [word for pair in properties(ON_A_CLUSTER).items() for word in ("--conf", "=".join(pair))]


def script_at(arguments: Sequence[str]) -> int | None:
    """The position of the job in the arguments: the first word that is neither a flag nor a flag's value, or -m."""
    at = 0
    while at < len(arguments):
        word = arguments[at]
        if not word.startswith("-") or word == MODULE:
            return at
        at += 1 if "=" in word or word in _WITHOUT_VALUE else 2
    return None


def _pairs(given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each flag with its value, whether they are one word or two."""
    at = 0
    while at < len(given):
        word = given[at]
        if word.startswith("--") and "=" in word:
            flag, _, value = word.partition("=")
            yield flag, value
        elif word not in _WITHOUT_VALUE and at + 1 < len(given):
            at += 1
            yield word, given[at]
        at += 1
