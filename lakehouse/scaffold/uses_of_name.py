"""Where files that belong to no domain use a name as a domain's: a domain needs a name that nothing else has."""

import re
from collections.abc import Iterator
from pathlib import Path

TREES = ("lakehouse", "dashboard", "conf", "docker")
_TEXT = {".py", ".js", ".css", ".toml", ".xml", ".conf", ".yaml", ".sh", ".in", ".properties"}
_NOT_OURS = {"__pycache__", "template"}


def lines_with(text: str, name: str) -> list[int]:
    """The lines with the name in a path, a dotted or dashed name, or quotes; "the houses sold" uses no name."""
    pattern = re.compile(rf"""["'/#`.]{name}\b|\b{name}(?:["'/`-]|\.\w)|\blake up {name}\b|={name}\b""")
    return [number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def uses(name: str, root: Path) -> Iterator[str]:
    """Each `file:line` in the platform's own trees that uses the name, in files and folders of other names."""
    for file in sorted(path for tree in TREES for path in (root / tree).rglob("*")):
        parts = file.relative_to(root).parts
        if file.suffix in _TEXT and not {*parts, file.stem} & {*_NOT_OURS, name}:
            yield from (f"{file.relative_to(root)}:{line}" for line in lines_with(file.read_text("utf-8"), name))
