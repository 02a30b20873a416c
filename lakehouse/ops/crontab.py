"""The nightly run's block in the user's crontab; conf/crontab is its template."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.settings import ROOT, Settings

TEMPLATE = ROOT / "conf/crontab"
# cron starts with an almost empty environment
VARIABLES = (*(f"LAKE_{name.upper()}" for name in Settings.model_fields), "JAVA_HOME")
CRON_PATH = "/usr/bin:/bin"
_ANY_TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}  # the user's lines stay byte by byte


def block() -> str:
    """The lines for the crontab, with the paths of this checkout."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in _environment().items()]
    lake = [shlex.quote(str(Path(sys.executable).parent / "lake")), "nightly"]
    command = " ".join([f"cd {shlex.quote(str(ROOT))} &&", *variables, *lake])
    if "\n" in command:
        raise DataError("A path or setting with a line break cannot go into a crontab.")
    return TEMPLATE.read_text().format(root=ROOT, command=command.replace("%", r"\%"))  # cron reads % as a line break


def _environment() -> dict[str, str]:
    """The variables that the run needs, with JAVA_HOME for a Java that cron's short PATH would not find."""
    found = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    _refuse_secrets(found.get("LAKE_POSTGRES_DSN", "embedded"))
    java = shutil.which("java")
    if java and "JAVA_HOME" not in found and not shutil.which("java", path=CRON_PATH):
        found["JAVA_HOME"] = str(Path(java).resolve().parent.parent)
    return found


def _refuse_secrets(dsn: str) -> None:
    from lakehouse.sinks import postgres_login

    if dsn == "embedded" or not postgres_login.secrets_of(dsn):
        return
    shown = postgres_login.public(dsn)
    raise UsageError(
        "The password in LAKE_POSTGRES_DSN cannot go into a crontab.",
        "Put it into a file of mode 600, as the line host:port:database:user:password, and name that: "
        f'LAKE_POSTGRES_DSN="{shown} passfile=/path/of/the/file".',
    )


def install(remove: bool = False) -> bool:
    """Put our block into the user's crontab, or remove it; other lines stay. False when nothing had to change."""
    before = _crontab()
    after = replaced(before, "" if remove else block())
    if after == before:
        return False
    done = subprocess.run(["crontab", "-"], input=after, capture_output=True, check=False, **_ANY_TEXT)
    if done.returncode:
        raise UnavailableError(f"crontab did not take the lines: {_first(done.stderr)}", "`lake schedule print`.")
    return True


def replaced(text: str, new: str) -> str:
    """The crontab with this checkout's block replaced by the new one. Raises DataError when half a block is there."""
    begin, end = (f"# lake: {word} {ROOT}" for word in ("begin", "end"))
    lines = text.split("\n")
    if (lines.count(begin), lines.count(end)) not in ((0, 0), (1, 1)):
        raise DataError(
            "The crontab has only a part of the lake's block, or two of them.",
            f"Mend the lines from `{begin}` to `{end}` with `crontab -e`.",
        )
    if begin not in lines:
        kept = text if not text or text.endswith("\n") else f"{text}\n"
        return kept + new if new else text
    first, last = lines.index(begin), lines.index(end)
    if last < first:
        raise DataError(f"The crontab's `{end}` comes before its `{begin}`.", "Mend it with `crontab -e`.")
    return "\n".join([*lines[:first], *new.split("\n")[:-1], *lines[last + 1 :]])


def _crontab() -> str:
    if not shutil.which("crontab"):
        raise UnavailableError(
            "There is no cron on this machine (no program `crontab`).",
            "Install one, or have another scheduler run what `lake schedule print` shows.",
        )
    env = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(["crontab", "-l"], capture_output=True, check=False, env=env, **_ANY_TEXT)
    if done.returncode and not re.search(r"no crontab|No such file", done.stderr):
        raise UnavailableError(f"crontab does not show its lines: {_first(done.stderr)}", "Nothing was changed.")
    return "" if done.returncode else done.stdout


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "it gave no reason") + "."
