"""The output of commands: sentences, tables, JSON. Rich is imported on first use, so that `lake` starts fast."""

import functools
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid


@functools.cache
def console() -> "Console":
    """The console for sentences and tables."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # a reason may hold [brackets]


def grid(*columns: str, rows: Iterable[Iterable[object]] = ()) -> "Grid":
    """A table without borders."""
    from rich.table import Table as Grid

    table = Grid(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*[str(cell) for cell in row])
    return table


def print_json(value: Any) -> None:
    """Print the value as JSON; other types as text."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")


def escaped(text: str) -> str:
    """The text with control and unprintable characters as escapes; line ends stay."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def hex_dump(data: bytes) -> list[str]:
    """Lines of 16 bytes: offset, bytes in hex, and ASCII."""
    return [
        f"{at:08x}  {data[at : at + 16].hex(' '):47}  "
        + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[at : at + 16])
        for at in range(0, len(data), 16)
    ]
