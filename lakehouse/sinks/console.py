"""Rows in the terminal, for debugging: what a batch has changed."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lakehouse.contract.tables import Table
from lakehouse.sinks.sink import Row
from lakehouse.spark.session import collect
from lakehouse.streaming.batch import Batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class ConsoleSink:
    """Shows the columns of each row, a line per row. A batch that comes again is shown again."""

    tables: tuple[Table, ...] = ()

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)

    def write(self, frame: "DataFrame", batch: Batch) -> None:
        """Show the batch's rows."""
        self.send(collect(frame), batch)()

    def send(self, rows: Sequence[Row], _batch: Batch) -> Callable[[], None]:
        """A function that shows the rows: after the batch has been written."""
        from rich.console import Console

        def show() -> None:
            console = Console(highlight=False)
            for row in rows:
                console.print(*(f"{name}={row[name]}" for name in self._columns), markup=False, soft_wrap=True)

        return show
