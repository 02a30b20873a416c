"""What commands print: sentences, tables, JSON. Rich is imported when something is printed: `lake` starts fast."""

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
    """Where sentences and tables go."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)  # a reason may hold [brackets]


def grid(*columns: str, rows: Iterable[Iterable[object]] = ()) -> "Grid":
    """A table without borders."""
    from rich.table import Table as Grid

    made = Grid(*columns, box=None, pad_edge=False)
    for row in rows:
        made.add_row(*[str(cell) for cell in row])
    return made


def print_json(value: Any) -> None:
    """The value as JSON; what JSON does not know as text."""
    sys.stdout.write(json.dumps(value, indent=1, default=str) + "\n")
