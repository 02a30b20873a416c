"""Writes a new domain into the tree: every file of `template/`, with the domain's name in the place of `example`."""

import keyword
import re
from collections.abc import Mapping
from pathlib import Path

from lakehouse.contract import discovery
from lakehouse.errors import UsageError
from lakehouse.scaffold import uses_of_name
from lakehouse.settings import ROOT

TEMPLATE = Path(__file__).parent / "template"
NAME = re.compile(r"[a-z][a-z0-9_]{1,19}")
TAKEN = ("alerts", "api", "assets", "health", "models", "overview")  # addresses that belong to all domains


def check_name(name: str, root: Path = ROOT) -> None:
    """Raises UsageError when no new domain can have this name."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        rule = "a domain's name is 2 to 20 lower-case letters, digits and _, begins with a letter, is no word of Python"
        raise UsageError(f"{name!r} cannot be a domain: {rule}.")
    if name in discovery.domains():
        raise UsageError(f"The domain {name} is there already: jobs/{name}.", "Choose another name.")
    used = "an address" if name in TAKEN else next(uses_of_name.uses(name, root), None)
    if used:
        raise UsageError(f"{name!r} cannot be a domain: the platform uses that name ({used}).", "Choose another one.")


def files(name: str, root: Path = ROOT) -> dict[Path, str]:
    """The files of a domain of that name: path below the repository to content."""
    words = {"example": name, "Example": name.replace("_", " ").capitalize(), "4049": str(_port(root))}
    sources = sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        Path(_with(words, str(path.relative_to(TEMPLATE)))): _with(words, path.read_text("utf-8")) for path in sources
    }


def _with(words: Mapping[str, str], text: str) -> str:
    return re.sub("|".join(words), lambda placeholder: words[placeholder[0]], text)


def _port(root: Path) -> int:
    """The next port for the UI of Spark that no service in docker/ uses."""
    used = " ".join(file.read_text("utf-8") for file in (root / "docker").glob("*.yaml"))
    return next(port for port in range(4041, 4141) if str(port) not in used)


def write(name: str, root: Path = ROOT) -> list[Path]:
    """Write the domain; returns its files, relative to `root`. Changes no file that is there.

    Raises UsageError when the name cannot be used, or when a file of that name is there.
    """
    check_name(name, root)
    content = files(name, root)
    there = [str(path) for path in content if (root / path).exists()]
    if there:
        raise UsageError(f"Files of a domain {name} are there already: {', '.join(there)}.", "Choose another name.")
    for path, text in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return list(content)
