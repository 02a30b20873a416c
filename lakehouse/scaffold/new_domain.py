"""Writes a new domain into the tree: every file of `template/`, with the domain's name in the place of `example`."""

import keyword
import re
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


def files(name: str) -> dict[Path, str]:
    """The files of a domain of that name: path below the repository to content."""
    title = name.replace("_", " ").capitalize()
    sources = sorted(path for path in TEMPLATE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {
        Path(_renamed(str(path.relative_to(TEMPLATE)), name, title)): _renamed(path.read_text("utf-8"), name, title)
        for path in sources
    }


def _renamed(text: str, name: str, title: str) -> str:
    return text.replace("example", name).replace("Example", title)


def write(name: str, root: Path = ROOT) -> list[Path]:
    """Write the domain; returns its files, relative to `root`. Changes no file that is there.

    Raises UsageError when the name cannot be used, or when a file of that name is there.
    """
    check_name(name, root)
    content = files(name)
    there = [str(path) for path in content if (root / path).exists()]
    if there:
        raise UsageError(f"Files of a domain {name} are there already: {', '.join(there)}.", "Choose another name.")
    for path, text in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, "utf-8")
    return list(content)
