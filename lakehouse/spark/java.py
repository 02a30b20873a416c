"""Finds a Java that Spark and Kafka run on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lakehouse.errors import UnavailableError

SUPPORTED = (17, 21)


def find() -> str:
    """Path of the java program: $JAVA_HOME's, else the one on the PATH.

    Raises UnavailableError when there is none, or Spark does not support its version.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin/java") if home else shutil.which("java")
    if not java or not Path(java).exists():
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "there is no java on the PATH"
        raise UnavailableError(f"Java is missing: {where}.", f"Install a JDK or JRE {_wanted()} and set JAVA_HOME.")
    version = _major(java)
    if version not in SUPPORTED:
        raise UnavailableError(
            f"Java {version or 'of an unknown version'} at {java} cannot run Spark 4.",
            f"Install Java {_wanted()} and set JAVA_HOME to it.",
        )
    return java


def _wanted() -> str:
    return " or ".join(str(version) for version in SUPPORTED)


def _major(java: str) -> int:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match else 0
