"""What the Models page shows of the price model beyond what it shows of every model."""

from collections.abc import Sequence

from dash import html
from dash.development.base_component import Component

from dashboard.pages.houses import price_view
from dashboard.ui import formats, tiles
from dashboard.ui.section import ModelDetails
from jobs.houses import schema
from lakehouse.contract.models import Model
from lakehouse.models.live_error import Compared
from lakehouse.models.manifests import Manifest

NONE_FOR_SALE = "No house is for sale, so no prediction can be compared with a later sale."


def details(model: Model) -> ModelDetails | None:
    """What the Models page shows of the price model in the words of houses; None for any other model."""
    return ModelDetails(newest_table, why_empty) if model.name == schema.PRICE_MODEL.name else None


def newest_table(newest: Sequence[Compared]) -> Component:
    """The newest houses sold that had been priced before; an error is positive when the price was too high."""
    rows = [_sold(sale) for sale in newest]
    numbers = dict.fromkeys(("Sold for", "Predicted", "Error"), "number")
    heads = {"House": "text", "Sold (UTC)": "text", **numbers, "Version": "text"}
    return tiles.table("models-newest-table", heads, rows, "Houses sold after they were priced")


def _sold(sale: Compared) -> Component:
    error = sale.predicted / sale.actual - 1 if sale.actual else None
    cells = [
        tiles.cell("id", price_view.house_link(sale.id), sale.id, number=False),
        tiles.cell("sold_at", formats.clock(sale.at), sale.at.isoformat(), number=False),
        tiles.cell("price", formats.money(sale.actual), sale.actual),
        tiles.cell("predicted", formats.money(sale.predicted), sale.predicted),
        tiles.cell("error", formats.NOTHING if error is None else formats.signed_percent(error), error),
        tiles.cell("version", sale.version, number=False),
    ]
    return html.Tr(cells, **tiles.attributes(house=sale.id))


def why_empty(newest: Manifest) -> str:
    """Why no prediction was compared yet, where the newest version says why; else empty."""
    houses = newest.details.get("houses")
    return NONE_FOR_SALE if houses and not houses["for_sale"] else ""
