"""What the board of the production line shows of a snapshot, as pure functions: numbers, rows and tables."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.production import source
from dashboard.ui import formats, layers_tile, sparkline, tiles
from dashboard.ui.tiles import TileState
from jobs.production import schema
from jobs.production.plant import LINE, plant
from lakehouse.errors import LakeError

ZONE_PATH = "/production/zone"
NO_EVENTS = "No events yet. Start the line: `./spark-submit.sh jobs/production/produce.py`"
NO_STREAM = (
    "Events are on the topic, but nothing has read them yet. Start: `./spark-submit.sh jobs/production/stream.py`"
)
NO_RECOMPUTE = "Nothing recomputed yet. Run: `./spark-submit.sh jobs/production/recompute.py`"
THROUGHPUT = "Throughput: units without a defect / units, in percent. A unit counts once, however many defects it has."


def unusable() -> Component | None:
    """What stands in the place of a page while the plant's file cannot be used."""
    try:
        plant()
    except LakeError as error:
        notice = html.P(formats.with_code(str(error)), className="notice", role="alert")
        return html.Div([html.H1("Production line"), notice], className="intro")
    return None


def state(view: DomainView) -> TileState:
    """The state of a tile that shows totals; one that says it is behind while the stream waits."""
    empty = NO_STREAM if view.topic.events else NO_EVENTS
    return tiles.tile_state(view.speed, view.as_of(schema.TOTALS), empty)


def hours(view: DomainView, zone: str) -> pd.DataFrame:
    """Hours in which units count in a zone, oldest first."""
    frame = view.reading(source.HOURS).frame
    return frame[(frame["zone_id"] == zone) & (frame["units"] > 0)].sort_values("hour_start", ignore_index=True)


def today(view: DomainView) -> date | None:
    """The newest production day that has units."""
    return None if view.served.empty else view.served["day"].max()


def zones_today(view: DomainView) -> pd.DataFrame:
    """Totals of the newest day, in the order of the line, closed zones last; the line itself is left out."""
    rows = view.served[(view.served["day"] == today(view)) & (view.served["zone_id"] != LINE)]
    rows, order = rows.set_index("zone_id"), list(plant().zones)
    closed = [zone for zone in rows.index if zone not in order]
    return rows.reindex([*(zone for zone in order if zone in rows.index), *closed]).reset_index()


def pareto(view: DomainView, zone: str, days: int = 1) -> pd.DataFrame:
    """Defects by concern over the newest days, commonest first, with the share that each and those before it make."""
    frame, newest = view.reading(source.CONCERNS).frame, today(view)
    if frame.empty or newest is None:
        return pd.DataFrame(columns=["concern_id", "defects", "share"])
    rows = frame[(frame["zone_id"] == zone) & (frame["day"] > newest - timedelta(days=days)) & (frame["defects"] > 0)]
    sums: pd.DataFrame = rows.groupby("concern_id")[["defects"]].sum().reset_index()
    sums = sums.sort_values(["defects", "concern_id"], ascending=[False, True], ignore_index=True)
    return sums.assign(share=sums["defects"].cumsum() / max(int(sums["defects"].sum()), 1))


def p_chart(rows: pd.DataFrame) -> pd.DataFrame:
    """Hours with throughput in percent, its mean and its 3-sigma control limits, and whether the hour is outside.

    The share of defective units is binomial: the limits are wider for an hour with few units (Montgomery, Introduction
    to Statistical Quality Control, the p chart).
    """
    units, bad = rows["units"].astype(float), rows["defective_units"].astype(float)
    mean = bad.sum() / units.sum() if units.sum() else 0.0
    sigma = (mean * (1 - mean) / units) ** 0.5
    share = bad / units
    return pd.DataFrame(
        {
            "at": rows["hour_start"],
            "units": rows["units"],
            "throughput": 100 * (1 - share),
            "mean": 100 * (1 - mean),
            "low": 100 * (1 - (mean + 3 * sigma).clip(upper=1)),
            "high": 100 * (1 - (mean - 3 * sigma).clip(lower=0)),
            "outside": (share > mean + 3 * sigma) | (share < mean - 3 * sigma),
        }
    )


def kpis(view: DomainView) -> list[Component]:
    """The line today in numbers."""
    line = view.served[(view.served["zone_id"] == LINE) & (view.served["day"] == today(view))]
    zones = zones_today(view)
    row = next(tiles.records(line), None)
    units = int(row.units) if row else None
    target = plant().target
    share = f"{units / target:.0%} of {target:,} planned" if units is not None else "none yet"
    found = int(row.defects_found) if row else None
    newest = row.newest_at if row else None
    worst = next(tiles.records(zones.sort_values("throughput").head(1)), None)
    where: Any = dcc.Link(worst.zone_id, href=address(worst.zone_id)) if worst else formats.NOTHING
    of_worst = f"{formats.percent(float(worst.throughput) / 100)} throughput" if worst else "none yet"
    day = f"day {today(view)}" if row else "none yet"
    through = html.Abbr("Throughput", title=THROUGHPUT)
    return [
        tiles.kpi("production-kpi-units", "Units today", tiles.exact(formats.count(units), units), share),
        tiles.kpi("production-kpi-throughput", through, *_percent(row), day),
        tiles.kpi("production-kpi-found", "Defects today", tiles.exact(formats.count(found), found), "found anywhere"),
        tiles.kpi("production-kpi-worst", "Worst zone", where, of_worst),
        tiles.kpi("production-kpi-delay", "Delay", tiles.age(newest), "of the newest unit"),
        tiles.kpi(
            "production-kpi-rate", "Events per second", formats.decimal(view.topic.rate), tiles.rate_note(view.topic)
        ),
    ]


def _percent(row: Any) -> tuple[Component]:
    value = None if row is None else float(row.throughput)
    return (tiles.exact(formats.NOTHING if value is None else f"{value:.1f} %", value),)


def address(zone: str) -> str:
    """Where the zone's page is."""
    return f"{ZONE_PATH}/{quote(zone, safe='')}"


def zone_table(view: DomainView) -> Component:
    """A zone a line, each a link to its page, with its throughput by hour as a line the size of a word."""
    rows = []
    for row in tiles.records(zones_today(view)):
        by_hour = p_chart(hours(view, row.zone_id))["throughput"].tolist()[-48:]
        cells = [
            tiles.cell("zone_id", dcc.Link(row.zone_id, href=address(row.zone_id)), row.zone_id, number=False),
            *_count_cells(row),
            tiles.cell("by_hour", sparkline.sparkline(by_hour, f"Throughput of {row.zone_id} by hour"), number=False),
        ]
        rows.append(html.Tr(cells, **tiles.attributes(zone=row.zone_id)))
    heads = {"Zone": "text", **_COUNT_HEADS, "By hour": "text"}
    return tiles.table("production-zones-table", heads, rows, "Zones today")


_COUNT_HEADS = dict.fromkeys(("Units", "Defective", "Found", "Charged", "Throughput"), "number")


def _count_cells(row: Any) -> list[Component]:
    numbers = ("units", "defective_units", "defects_found", "defects_charged")
    counts = [tiles.cell(name, formats.count(getattr(row, name)), int(getattr(row, name))) for name in numbers]
    return [*counts, tiles.cell("throughput", f"{float(row.throughput):.1f} %", float(row.throughput))]


def day_table(view: DomainView, zone: str) -> Component:
    """The zone's days, newest first."""
    frame = view.served[view.served["zone_id"] == zone].sort_values("day", ascending=False)
    rows = [
        html.Tr(
            [
                tiles.cell("day", str(row.day), number=False),
                *_count_cells(row),
                tiles.cell("layer", row.layer, number=False),
            ],
            **tiles.attributes(day=str(row.day)),
        )
        for row in tiles.records(frame)
    ]
    heads = {"Production day": "text", **_COUNT_HEADS, "Served by": "text"}
    return tiles.table("zone-days-table", heads, rows, f"Days of {zone}")


def parity_body(view: DomainView) -> list[Component]:
    """How far Delta, PostgreSQL and the history agree, and where they do not."""
    summary = layers_tile.agreement(view.parity).replace("window", "total")
    parts: list[Component] = [html.P(summary, id="production-parity-summary", className="summary")]
    rows = [
        html.Tr(
            [
                tiles.cell("day", str(row.day), number=False),
                tiles.cell("zone_id", row.zone_id, number=False),
                *[tiles.cell(name, formats.count(getattr(row, name))) for name in _SIDES],
                tiles.cell("cause", row.cause, number=False),
            ]
        )
        for row in tiles.records(view.parity.frame.head(50))
    ]
    heads = {"Day": "text", "Zone": "text", **dict.fromkeys(_SIDES.values(), "number"), "Cause": "text"}
    return [*parts, tiles.table("production-parity-table", heads, rows, "Totals that differ")] if rows else parts


_SIDES = {"delta_units": "Units in Delta", "postgres_units": "In PostgreSQL", "batch_units": "Recomputed"}
