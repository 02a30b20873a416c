"""What the price page shows of an answer, as pure functions: numbers on top, sentences, tables, links."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict
from urllib.parse import quote, urlencode

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.pages.houses import pricing
from dashboard.pages.houses.fact_sliders import fact_text, label
from dashboard.ui import formats, tiles
from dashboard.ui.tiles import TileState
from jobs.houses.price_model.answers import Answer, Comparable
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import Found

PATH = "/houses/price"


class Asked(TypedDict):
    """What the address asks for, and sentences on what of it cannot be used."""

    id: str
    changes: dict[str, float]
    ignored: list[str]


@dataclass(frozen=True)
class View:
    """The house as it is, and as it would be with the changes."""

    original: Answer
    now: Answer
    changes: Mapping[str, float]

    def digest(self) -> str:
        """Another one exactly when something on the page would change."""
        answers = json.dumps([self.original.as_dict(), self.now.as_dict(), dict(self.changes)], sort_keys=True)
        return hashlib.sha256(answers.encode()).hexdigest()[:16]


def look(pricer: Pricer, asked: Asked, chosen: Mapping[str, float], afresh: bool) -> View | None:
    """The answer for the sliders as they stand (`chosen`, none yet at first); None when no house is asked for.

    Facts that the address changes and no slider shows stay changed, unless the page was set back (`afresh`).
    """
    if not asked["id"]:
        pricer.model()
        return None
    original = pricer.price(asked["id"])
    wanted = {**({} if afresh else asked["changes"]), **chosen}
    own = original.facts | original.stand_ins  # a slider of a fact that is not known stands at what stands for it
    changes = {name: value for name, value in wanted.items() if own.get(name) != value}
    return View(original, pricer.price(asked["id"], changes) if changes else original, changes)


def address(house_id: str, changes: Mapping[str, float]) -> str:
    """The address of exactly this view."""
    return f"{PATH}?{urlencode({'id': house_id})}{'&' if changes else ''}{_query(changes)}"


def api_address(house_id: str, changes: Mapping[str, float]) -> str:
    """Where the same answer is to be had as JSON."""
    query = f"?{_query(changes)}" if changes else ""
    return f"/api/houses/{quote(house_id, safe='')}/price{query}"


def _query(changes: Mapping[str, float]) -> str:
    return urlencode({name: f"{value:.10g}" for name, value in changes.items()})


def house_link(house_id: str) -> Component:
    """A link to a house's price."""
    return dcc.Link(house_id, href=address(house_id, {}))


def found_list(found: Sequence[Found], searched: str) -> list[Component]:
    """The houses that match what was typed so far."""
    if not found:
        return (
            [html.P(f"No house has an id that starts with {searched[:40]}.", className="caption")] if searched else []
        )
    items = [
        html.Li(
            dcc.Link(
                [
                    html.Strong(house.id),
                    html.Span(house.about, className="second"),
                    html.Span("for sale" if house.for_sale else "sold", className="badge"),
                ],
                href=address(house.id, {}),
            ),
            **tiles.attributes(house=house.id),
        )
        for house in found
    ]
    return [html.Ul(items, className="found", **tiles.attributes(aria_label="Houses found"))]


def nothing_asked(examples: Sequence[Found]) -> list[Any]:
    """What to do on a page that no house was asked for on."""
    links: list[Any] = ["Type the beginning of a house's id above"]
    for number, house in enumerate(examples):
        links += [", or take " if number == 0 else ", ", house_link(house.id)]
    return [*links, "."]


def unknown(sentence: str, nearest: Sequence[str]) -> list[Any]:
    """An unknown house: the sentence, and the ids most like it as links."""
    links: list[Any] = [*formats.with_code(sentence)]
    for number, house in enumerate(nearest):
        links += [" Ids like it: " if number == 0 else ", ", house_link(house)]
    return links


def kpis(original: Answer, now: Answer) -> list[Component]:
    """The answer in numbers; `now` is the what-if, or the original itself."""
    changed_price = now.price != original.price
    note = f"without changes {formats.money(original.price)}" if changed_price else "as the house is"
    version = dcc.Link(now.version, href=pricing.MODELS_ADDRESS)
    newest = f"sales up to {now.cut_off[:10]}" if now.cut_off else "of sales without a day"
    return [
        tiles.kpi("price-kpi-price", "Price", tiles.exact(formats.money(now.price), now.price), note),
        tiles.kpi("price-kpi-interval", "80 % interval", _interval(now), "8 of 10 houses sell within theirs"),
        tiles.kpi("price-kpi-sold", *_sold(original)),
        tiles.kpi("price-kpi-version", "Model version", version, newest),
    ]


def _interval(answer: Answer) -> Component:
    low, high = (formats.short_money(value) for value in (answer.low, answer.high))
    return html.Span(f"{low} – {high}", **tiles.attributes(low=str(answer.low), high=str(answer.high)))


def _sold(answer: Answer) -> tuple[str, Any, str]:
    if answer.sold_price is None:
        return ("Market", "For sale" if answer.for_sale else "Not sold yet", "no price is known")
    apart = formats.signed_percent(answer.price / answer.sold_price - 1)
    return "Sold for", tiles.exact(formats.money(answer.sold_price), answer.sold_price), f"the model says {apart}"


def what_if_line(original: Answer, now: Answer, changes: Mapping[str, float]) -> list[Any]:
    """The changed price beside the original one."""
    if not changes:
        return [html.Strong(formats.money(original.price)), " as the house is. Move a slider to change it."]
    difference = now.price - original.price
    return [
        html.Span(formats.money(original.price), className="second"),
        " → ",
        html.Strong(formats.money(now.price), **tiles.attributes(value=str(now.price))),
        f" ({formats.signed_money(difference)}, {formats.signed_percent(difference / original.price)})",
    ]


def changes_line(original: Answer, changes: Mapping[str, float]) -> str:
    """Which facts differ, in words."""
    parts = [
        f"{label(name)}: {fact_text(name, original.facts.get(name))} → {fact_text(name, value)}"
        for name, value in changes.items()
    ]
    return "; ".join(parts)


def imputed_line(answer: Answer) -> str:
    """Which facts the house lacks, and which every house."""
    typical, none = (", ".join(label(name).lower() for name in names) for names in (answer.imputed, answer.unknown))
    lines = [f"Not known of this house, so a typical value stands in: {typical}."] if typical else []
    lines += [f"Not known of any house, so no part of the price: {none}."] if none else []
    return " ".join(lines)


def contribution_table(answer: Answer) -> Component:
    """Every part of the price; they add up to it."""
    rows = [_part("baseline", "Baseline", "the average house sold", answer.baseline, signed=False)]
    ordered = sorted(answer.contributions, key=lambda part: -abs(part.dollars))
    rows += [_part(part.name, part.label, part.value_text, part.dollars) for part in ordered]
    rows.append(_part("price", "Price", "", answer.price, signed=False))
    heads = {"Because of": "text", "Value": "text", "Dollars": "number"}
    return tiles.table("price-contributions-table", heads, rows, "What the price is made of")


def _part(name: str, title: str, value: str, dollars: float, signed: bool = True) -> Component:
    shown = formats.signed_money(dollars) if signed else formats.money(dollars)
    cells = [tiles.cell("name", title, number=False), tiles.cell("value", value, number=False)]
    return html.Tr([*cells, tiles.cell("dollars", shown, dollars)], **tiles.attributes(part=name))


def comparable_table(comparables: Sequence[Comparable]) -> Component:
    """The sales that the price leans on most."""
    rows = [
        html.Tr(
            [
                tiles.cell("id", house_link(sale.id), sale.id, number=False),
                tiles.cell("price", formats.money(sale.price), sale.price),
                tiles.cell("km", formats.NOTHING if sale.km is None else f"{sale.km:.1f} km", sale.km),
                tiles.cell("sqft_living", fact_text("sqft_living", sale.sqft_living), sale.sqft_living),
                tiles.cell("grade", fact_text("grade", sale.grade), sale.grade),
                tiles.cell("rooms", f"{sale.bedrooms:g} / {sale.bathrooms:g}"),
                tiles.cell("yr_built", f"{sale.yr_built:g}", sale.yr_built),
                tiles.cell("listed_on", sale.listed_on or formats.NOTHING, number=False),
                tiles.cell("weight", formats.percent(sale.weight), sale.weight),
            ],
            **tiles.attributes(house=sale.id),
        )
        for sale in comparables
    ]
    numbers = ("Sold for", "Away", "Living area", "Grade", "Bd / ba", "Built")
    heads = {"House": "text", **dict.fromkeys(numbers, "number"), "Listed": "text", "Weight": "number"}
    return tiles.table("price-comparables-table", heads, rows, "Comparable sales")


def fact_table(answer: Answer) -> Component:
    """Every fact that the price rests on."""
    rows = [
        html.Tr(
            [
                tiles.cell("name", label(name), number=False),
                tiles.cell("value", fact_text(name, value), value),
                tiles.cell("known", _known(answer, name), number=False),
            ],
            **tiles.attributes(fact=name),
        )
        for name, value in answer.facts.items()
    ]
    return tiles.table("price-facts-table", {"Fact": "text", "Value": "number", "": "text"}, rows, "Facts of the house")


def _known(answer: Answer, name: str) -> str:
    return "typical value" if name in answer.imputed else "not known" if name in answer.unknown else "known"


def ready(answer: Answer) -> TileState:
    """The state of a tile that shows the answer, as old as its model."""
    return TileState("ready", [], tiles.moment(answer.trained_at))
