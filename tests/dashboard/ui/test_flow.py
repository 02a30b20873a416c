"""What the boxes of a flow say of a domain's snapshot."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from dashboard.live.snapshot import Live
from dashboard.pages.houses import source
from dashboard.ui import flow
from dashboard.ui.flow_plan import Node
from jobs.houses import schema
from lakehouse.tables import served_layer

AVERAGES = Node("table-averages", "table", "averages", "speed", 4, 1)


def without_final(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Served rows as a domain may choose them: with `layer` alone."""
    return served_layer.served(speed, batch, keys).drop(columns="is_final")


def test_provisional_rows_are_counted_where_rows_say_whether_they_are_final(
    lake: Path, write: Callable[..., None], average: Callable[..., dict[str, Any]]
) -> None:
    write(schema.AVERAGES, average(0), average(1, is_final=False))
    assert source.SOURCE.layers
    own = replace(source.SOURCE, layers=replace(source.SOURCE.layers, serve=without_final))
    shown = [
        dict(flow.box(AVERAGES, Live([each]).refresh().domains["houses"], flow.NOT_RUNNING).lines)
        for each in (source.SOURCE, own)
    ]
    assert (shown[0]["rows"], shown[0]["provisional"]) == ("2", "1")
    assert (shown[1]["rows"], "provisional" in shown[1]) == ("2", False)
