"""The facts of a house in words, and the sliders that change them."""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import NamedTuple

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboard.ui import formats
from jobs.houses.price_model import answers
from jobs.houses.price_model.answers import Answer


class Slider(NamedTuple):
    """A fact that can be changed: its range, which grows to hold the house's own value, and how it reads."""

    name: str
    label: str
    low: float
    high: float
    step: float
    unit: str = ""


SLIDERS = (
    Slider("sqft_living", "Living area", 300, 8_000, 10, "sq ft"),
    Slider("sqft_lot", "Lot", 500, 60_000, 100, "sq ft"),
    Slider("grade", "Grade", 1, 13, 1),
    Slider("condition", "Condition", 1, 5, 1),
    Slider("bedrooms", "Bedrooms", 0, 10, 1),
    Slider("bathrooms", "Bathrooms", 0, 8, 0.25),
    Slider("floors", "Floors", 1, 3.5, 0.5),
    Slider("view", "View", 0, 4, 1),
    Slider("waterfront", "Waterfront", 0, 1, 1),
    Slider("yr_built", "Year built", 1900, 2015, 1),
)
_LABELS = answers.LABELS | {"zipcode": "Zip code", "lat": "Latitude", "long": "Longitude"}


def label(name: str) -> str:
    """A fact's name in words."""
    return _LABELS.get(name, name)


def fact_text(name: str, value: float | None) -> str:
    """A fact as it is read: 1,800 sq ft, 1994, 98103."""
    if value is None:
        return formats.NOTHING
    if name.startswith("sqft"):
        return f"{value:,.0f} sq ft"
    if name == "listed_day":
        return str(date(1970, 1, 1) + timedelta(days=int(value)))
    if name == "yr_renovated" and value == 0:
        return "never"
    if name == "waterfront":
        return "yes" if value else "no"
    return f"{value:.5g}" if name in ("lat", "long") else f"{value:g}"


def sliders(original: Answer, changes: Mapping[str, float]) -> list[Component]:
    """One slider per fact of SLIDERS that some house has, at its changed value if it has one."""
    own = original.facts | original.stand_ins
    shown = [slider for slider in SLIDERS if slider.name not in original.unknown]
    return [_slider(slider, own.get(slider.name), changes.get(slider.name)) for slider in shown]


def _grid(slider: Slider, own: float, value: float) -> tuple[float, float]:
    """The ends of the slider: whole steps away from the house's own value, which can so be come back to exactly."""
    low, high = min(slider.low, value, own), max(slider.high, value, own)
    first = own - math.floor((own - low) / slider.step) * slider.step
    return min(first, value), own + math.ceil((high - own) / slider.step) * slider.step


def _slider(slider: Slider, own: float | None, chosen: float | None) -> Component:
    value = next((given for given in (chosen, own) if given is not None), slider.low)
    low, high = _grid(slider, slider.low if own is None else own, value)
    named = f"what-if-{slider.name}"
    mark = [{"value": own}] if own is not None else []
    slide = dmc.Slider(
        id={"type": "what-if", "name": slider.name},
        min=low,
        max=high,
        step=slider.step,
        value=value,
        marks=mark,
        updatemode="drag",
        size="sm",
        thumbLabel=slider.label,
        label=None,
    )
    head = [
        html.Span(slider.label),
        html.Span(fact_text(slider.name, value), id={"type": "what-if-value", "name": slider.name}),
    ]
    return html.Div([html.Div(head, className="slider-head"), slide], className="slider", id=named)
