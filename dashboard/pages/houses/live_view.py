"""What the houses page shows of a snapshot, as pure functions: frames for the figures, rows for the tables."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.houses import pricing, source
from dashboard.ui import charts, event_grid, formats, tiles, time_range
from dashboard.ui.tiles import TileState
from jobs.houses import schema

NO_SALES = "No sales yet. Start them: `./spark-submit.sh jobs/houses/produce.py`"
NO_STREAM = (
    "Sales are on the topic, but nothing has read them yet. Start the stream: `./spark-submit.sh jobs/houses/stream.py`"
)
NO_RECOMPUTE = "Nothing recomputed yet. Run: `./spark-submit.sh jobs/houses/recompute.py`"
WINDOW = pd.Timedelta(schema.WINDOW).to_pytimedelta()
BUSIEST = 4  # decades drawn while none is picked


def empty_notice(view: DomainView) -> str:
    """Why nothing is shown and what to start."""
    return NO_STREAM if view.topic.events else NO_SALES


def windows_state(view: DomainView) -> TileState:
    """The state of a tile that shows served windows."""
    if view.batch.error and not view.speed.error:
        return TileState("stale", formats.with_code(view.batch.error), tiles.moment(view.as_of(schema.AVERAGES)))
    if len(view.served) and view.speed.state == "empty":
        return tiles.tile_state(view.batch, view.batch.committed_at, "")
    return tiles.tile_state(view.speed, view.as_of(schema.AVERAGES), empty_notice(view))


def within(served: pd.DataFrame, chosen: str | None) -> pd.DataFrame:
    """The served windows of the range, counted back from the newest one."""
    if served.empty:
        return served
    span = time_range.span(chosen)
    shown: pd.DataFrame = served[served["window_start"] >= served["window_start"].max() - span]
    return shown


def last_windows(served: pd.DataFrame) -> pd.DataFrame:
    """The newest window of each decade, oldest decade first."""
    newest = served.groupby("decade")["window_start"].idxmax()  # in the order of the decades; to sort a day takes 7 ms
    return served.loc[newest]


def bar_rows(last: pd.DataFrame) -> pd.DataFrame:
    """The newest windows, with their bands, as `charts.bars` wants them."""
    labels = last["decade"].astype(str) + "s"
    rows = last.rename(columns={"avg_price": "value", "sales": "count"})
    return rows[["value", "count", "is_final", "band"]].assign(label=labels)


def line_rows(shown: pd.DataFrame) -> pd.DataFrame:
    """Windows as `charts.lines` wants them."""
    names = {"window_start": "at", "avg_price": "value", "sales": "count", "decade": "group"}
    return shown.rename(columns=names)[["at", "value", "count", "group", "is_final", "layer"]]


def decades(served: pd.DataFrame) -> list[int]:
    """All decades there are, oldest first."""
    return sorted(int(decade) for decade in served["decade"].unique())


def picked(served: pd.DataFrame, chosen: list[str] | None) -> list[int]:
    """The decades to draw: the chosen ones, else those with the most sales."""
    wanted = [int(decade) for decade in chosen or [] if str(decade).isdigit()]
    if wanted:
        return wanted
    return [int(decade) for decade in served.groupby("decade")["sales"].sum().nlargest(BUSIEST).index]


def caption(last: pd.DataFrame) -> str:
    """Which windows the bars stand for."""
    start, end = last["window_start"].min(), last["window_end"].max()
    provisional = int((~last["is_final"]).sum())
    which = "Window" if end - start <= WINDOW else "Last windows between"
    state = f"{provisional} of {len(last)} still filling" if provisional else "all final"
    return f"{which} {formats.bounds(start, end)} · {formats.plural(last['sales'].sum(), 'sale')} · {state}"


def quiet_note(view: DomainView, last: pd.DataFrame) -> Component:
    """A note that the browser shows once no sale has come for longer than a window."""
    newest = view.history.newest_event_at
    minutes = int(WINDOW.total_seconds() // 60)
    words = f"No sale for more than {minutes} minutes: with no newer sale the last windows stay provisional."
    waits = newest is not None and not bool(last["is_final"].all())
    after = (newest + WINDOW).isoformat() if newest is not None and waits else None
    return html.P(words, className="note", hidden=True, **tiles.attributes(show_after=after))


def last_window_table(last: pd.DataFrame) -> Component:
    """The bars as a table."""
    rows = [
        html.Tr(
            [
                tiles.cell("window_start", formats.clock(row.window_start), row.window_start.isoformat(), number=False),
                tiles.cell("decade", f"{row.decade}s", row.decade, number=False),
                tiles.cell("avg_price", formats.money(row.avg_price), float(row.avg_price)),
                tiles.cell("band", *_band(row.band)),
                tiles.cell("sales", formats.count(row.sales), int(row.sales)),
                tiles.cell("state", "final" if row.is_final else "provisional", number=False),
            ],
            **tiles.attributes(decade=str(row.decade), window=row.window_start.isoformat()),
        )
        for row in tiles.records(last)
    ]
    numbers = {"Average price": "number", "95 % band": "number", "Sales": "number"}
    heads = {"Window (UTC)": "text", "Decade": "text", **numbers, "State": "text"}
    return tiles.table("houses-last-window-table", heads, rows, "Last window of each decade")


def _band(width: float) -> tuple[str, float | None]:
    return (f"± {formats.money(width)}", width) if pd.notna(width) else (formats.NOTHING, None)


def window_rows(shown: pd.DataFrame) -> list[list[Any]]:
    """The windows drawn, newest first, as the browser fills them into #houses-windows-table."""
    rows = shown.sort_values(["window_start", "decade"], ascending=[False, True])
    state = ["final" if final else "provisional" for final in rows["is_final"].tolist()]
    numbers = (rows["decade"].tolist(), rows["avg_price"].tolist(), rows["sales"].tolist())
    columns = (charts.iso(rows["window_start"]), *numbers, state, rows["layer"].tolist())
    return [list(row) for row in zip(*columns, strict=True)]


def served_by(shown: pd.DataFrame) -> str:
    """How many of the points come from which layer."""
    layers = shown["layer"].value_counts()
    return f"{layers.get('batch', 0):,} from the batch layer, {layers.get('speed', 0):,} from the speed layer"


def feed_state(view: DomainView, sales: pd.DataFrame, error: str) -> TileState:
    """The state of the feed of these sales; `error` is why they are not read from the topic."""
    reading = view.reading(source.SALES)
    if reading.error:
        return tiles.tile_state(reading, view.as_of(schema.HISTORY), "")
    if sales.empty:  # perhaps the initial history is there, but no sale has come yet
        return TileState("empty", formats.with_code(empty_notice(view)), None)
    return TileState("ready", [], tiles.moment(view.as_of(schema.HISTORY) if error else "live"))


def feed_rows(sales: pd.DataFrame, predicted: Mapping[str, float | None]) -> pd.DataFrame:
    """The newest sales as the feed shows them, newest first, beside the price that the live model gives the house."""
    frame = event_grid.with_keys(sales)
    prices = [float(price) for price in frame["price"]]
    guesses = [predicted.get(house) for house in frame["id"]]
    return pd.DataFrame(
        {
            "key": frame["key"],
            "recorded": frame["recorded"],
            "time": [formats.clock(moment) for moment in frame["event_at"]],
            "id": frame["id"],
            "price": prices,
            "predicted": pd.Series(guesses, index=frame.index, dtype=object),
            "off": pd.Series([_off(*both) for both in zip(guesses, prices, strict=True)], frame.index, dtype=object),
            "built": (frame["yr_built"] // 10 * 10).astype(str) + "s · " + frame["yr_built"].astype(str),
            "beds": frame["bedrooms"],
            "baths": frame["bathrooms"],
            "sqft": frame["sqft_living"],
            "zip": [str(int(zipcode)) if pd.notna(zipcode) else formats.NOTHING for zipcode in frame["zipcode"]],
        }
    )


def feed_model(version: str) -> list[Any]:
    """Which version predicted the prices in the feed, or how to get one."""
    if not version:
        return formats.with_code(f"No predicted prices: {schema.PRICE_MODEL.missing}")
    return [
        f"Predicted by {version}, which may have been trained on the sale itself. ",
        dcc.Link("Models", href=pricing.MODELS_ADDRESS),
    ]


def _off(guess: float | None, price: float) -> float | None:
    return None if guess is None or price <= 0 else round(guess / price - 1, 4)


def kpis(view: DomainView) -> list[Component]:
    """The numbers on top."""
    served, history = view.served, view.history
    newest = served[served["window_start"] == served["window_start"].max()] if len(served) else served
    sales = int(newest["sales"].sum())
    average = newest["sum_cents"].sum() / 100 / sales if sales else None
    window = formats.bounds(newest["window_start"].iloc[0], newest["window_end"].iloc[0]) if sales else "no window yet"
    provisional = int((~served["is_final"].astype(bool)).sum())
    rate = formats.decimal(view.topic.rate)
    return [
        tiles.kpi("houses-kpi-average", "Average price now", formats.money(average), window),
        tiles.kpi("houses-kpi-sales", "Sales in that window", formats.count(sales), "all decades"),
        tiles.kpi("houses-kpi-history", "Sales streamed so far", formats.count(history.streamed), "in history"),
        tiles.kpi("houses-kpi-rate", "Events per second", rate, tiles.rate_note(view.topic), _rate_state(view)),
        tiles.kpi(
            "houses-kpi-provisional", "Provisional rows", formats.count(provisional), f"of {len(served):,} shown"
        ),
        tiles.kpi("houses-kpi-age", "Age of newest sale", tiles.age(history.newest_event_at), "by its own time"),
    ]


def _rate_state(view: DomainView) -> str:
    return "error" if view.topic.error else "ready"
