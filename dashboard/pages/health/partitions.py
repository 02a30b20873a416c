"""What the Health page shows of single partitions, as pure functions of a HealthView."""

from dash import html
from dash.development.base_component import Component

from dashboard.live.health import PARTITION_SECONDS, HealthView, lags_of, partition_lags_of, topic_key
from dashboard.live.queries import PartitionLag, QueryHealth
from dashboard.ui import formats, tiles
from dashboard.ui.sparkline import sparkline
from lakehouse.streaming import lag


def partitions_table(view: HealthView) -> Component:
    """A row per query and partition: read up to, end, lag, and the lag's last quarter of an hour.

    A query that reads many partitions has a row per topic instead, and the ten partitions that are the furthest behind.
    """
    columns = {"Query": "text", "Topic": "text", "Partition": "number", "Read up to": "number", "End": "number"}
    columns |= {"Lag": "number", "15 min": "text"}
    rows = [row for query in view.queries for row in _partition_rows(query, view)]
    return tiles.table("health-partitions-table", columns, rows, "Lag per partition")


def _partition_rows(query: QueryHealth, view: HealthView) -> list[Component]:
    parts = {part.where: part for part in query.partitions}
    shown = [parts[where] for where in lag.worst(query.lags)]
    rows = [_partition_row(query, part, view) for part in shown]
    if len(shown) == len(parts):
        return rows
    return [*(_topic_lag_row(query, topic, behind, view) for topic, behind in lag.by_topic(query.lags).items()), *rows]


def _topic_lag_row(query: QueryHealth, topic: str, behind: int | None, view: HealthView) -> Component:
    parts = [part for part in query.partitions if part.topic == topic]
    read, end = sum(part.read for part in parts), lag.total([part.end for part in parts])
    lags = lags_of(view, query.full_name, topic_key(topic), PARTITION_SECONDS)
    return _lag_row(query, topic, f"all {len(parts):,}", (read, end, behind), lags)


def _partition_row(query: QueryHealth, part: PartitionLag, view: HealthView) -> Component:
    lags = partition_lags_of(view, query.full_name, part.where)
    return _lag_row(query, part.topic, str(part.partition), (part.read, part.end, part.lag), lags)


def _lag_row(
    query: QueryHealth,
    topic: str,
    partition: str,
    numbers: tuple[int, int | None, int | None],
    lags: list[float | None],
) -> Component:
    label = f"Lag of {query.full_name} on {topic} {partition} over the last 15 minutes"
    cells = [
        tiles.cell("query", query.full_name, number=False),
        tiles.cell("topic", topic, number=False),
        tiles.cell("partition", partition, partition),
        *[tiles.cell(name, formats.count(at), at) for name, at in zip(("read", "end", "lag"), numbers, strict=True)],
        tiles.cell("lags", sparkline(lags, label), number=False),
    ]
    return html.Tr(cells, **tiles.attributes(query=query.full_name, partition=f"{topic}:{partition}"))
