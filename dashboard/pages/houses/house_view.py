"""One house as pure functions: its numbers, its sales in history, its facts, and the sales nearest to it."""

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow.compute as pc
from dash import dcc, html
from dash.development.base_component import Component

from dashboard.pages.houses import price_view
from dashboard.pages.houses.fact_sliders import fact_text, label
from dashboard.ui import formats, tiles
from jobs.houses import schema
from jobs.houses.price_model import what_if
from jobs.houses.price_model.answers import Answer, Near
from lakehouse.settings import settings
from lakehouse.tables import loads
from lakehouse.tables.reader import Reading, TableReader

PATH = "/houses/house"  # not /houses/<id>: an id may be "price" or "map"
MOST_SALES = 200
HOUSE_FACTS = tuple(name for name in what_if.FACTS if name != "listed_day")


def address(house_id: str) -> str:
    """Where the house's page is."""
    return f"{PATH}/{quote(house_id, safe='')}"


_reading = threading.Lock()  # readers are not made for two threads at once


def sales_of(house_id: str) -> Reading:
    """All sales of a house in history; when the history has grown, only its new files are searched."""
    with _reading:
        return _reader(settings().var, house_id).read()


@lru_cache(maxsize=32)
def _reader(_lake: Path, house_id: str) -> TableReader:
    return TableReader(schema.HISTORY, loads.found_once(pc.field("id") == house_id, MOST_SALES))


def newest_first(sales: pd.DataFrame) -> pd.DataFrame:
    """Sales by time, newest first; those of the initial history, which have only a day of listing, after the others."""
    return sales.sort_values(["event_at", "listed_at"], ascending=False, na_position="last", ignore_index=True)


def facts(sales: pd.DataFrame, answer: Answer | None) -> dict[str, float | None]:
    """What is known of the house: as the newest sale says, and where it does not, as the model knows it."""
    known = {name: answer.facts.get(name) if answer else None for name in HOUSE_FACTS}
    if sales.empty:
        return known
    newest = newest_first(sales).iloc[0]
    return {name: known[name] if pd.isna(newest[name]) else float(newest[name]) for name in HOUSE_FACTS}


def kpis(sales: pd.DataFrame, answer: Answer | None) -> list[Component]:
    """The house in numbers."""
    paid = float(newest_first(sales)["price"].iloc[0]) if len(sales) else answer.sold_price if answer else None
    guess = answer.price if answer else None
    apart = formats.signed_percent(guess / paid - 1) if guess and paid else formats.NOTHING
    link = dcc.Link(formats.money(guess), href=price_view.address(answer.id, {})) if answer else formats.NOTHING
    interval = f"80 %: {formats.short_money(answer.low)} – {formats.short_money(answer.high)}" if answer else "no model"
    return [
        tiles.kpi("house-kpi-paid", "Last sold for", tiles.exact(formats.money(paid), paid), "newest sale"),
        tiles.kpi("house-kpi-predicted", "Predicted", tiles.exact(link, guess), interval),
        tiles.kpi("house-kpi-apart", "Model differs", apart, f"by {answer.version}" if answer else "no model"),
        tiles.kpi("house-kpi-sales", "Sales in history", formats.count(len(sales)), "resends counted too"),
    ]


def sales_table(sales: pd.DataFrame, predicted: float | None) -> Component:
    """Every sale of the house with its time and price; a resend of a sale is marked."""
    ordered = newest_first(sales)
    again = ordered["event_id"].notna() & ordered[::-1].duplicated("event_id")[::-1]
    rows = [_sale(row, bool(resent), predicted) for row, resent in zip(tiles.records(ordered), again, strict=True)]
    heads = {"Time (UTC)": "text", "Price": "number", "Model differs": "number", "From": "text", "On the topic": "text"}
    return tiles.table("house-sales-table", heads, rows, "Sales of the house, newest first")


def _sale(row: Any, resent: bool, predicted: float | None) -> Component:
    price, at = float(row.price), row.event_at if pd.notna(row.event_at) else row.listed_at
    when = (
        formats.NOTHING if pd.isna(at) else f"{at:%Y-%m-%d %H:%M:%S}" if pd.notna(row.event_at) else f"listed {at:%F}"
    )
    apart = predicted / price - 1 if predicted else None
    where = formats.NOTHING if pd.isna(row.offset) else f"partition {row.partition:.0f}, offset {row.offset:.0f}"
    cells = [
        tiles.cell("time", when, None if pd.isna(at) else at.isoformat(), number=False),
        tiles.cell("price", formats.money(price), price),
        tiles.cell("off", formats.NOTHING if apart is None else formats.signed_percent(apart), apart),
        tiles.cell("source", f"{row.source}, resent" if resent else str(row.source), number=False),
        tiles.cell("place", where, number=False),
    ]
    return html.Tr(cells, **tiles.attributes(sale=where, resent=str(resent).lower()))


def fact_table(known: Mapping[str, float | None]) -> Component:
    """The facts of the house."""
    rows = [
        html.Tr([tiles.cell("name", label(name), number=False), tiles.cell("value", fact_text(name, value), value)])
        for name, value in known.items()
    ]
    return tiles.table("house-facts-table", {"Fact": "text", "Value": "number"}, rows, "Facts of the house")


def near_table(found: Sequence[Near]) -> Component:
    """The nearest sales, each a link to its house."""
    rows = [
        html.Tr(
            [
                tiles.cell("id", dcc.Link(near.id, href=address(near.id)), near.id, number=False),
                tiles.cell("km", f"{near.km:.2f} km", near.km),
                tiles.cell("price", formats.money(near.price), near.price),
                tiles.cell("sqft_living", fact_text("sqft_living", near.sqft_living), near.sqft_living),
                tiles.cell("grade", fact_text("grade", near.grade), near.grade),
                tiles.cell("yr_built", fact_text("yr_built", near.yr_built), near.yr_built),
            ],
            **tiles.attributes(house=near.id),
        )
        for near in found
    ]
    numbers = dict.fromkeys(("Away", "Sold for", "Living area", "Grade", "Built"), "number")
    return tiles.table("house-near-table", {"House": "text", **numbers}, rows, "The sales nearest to the house")
