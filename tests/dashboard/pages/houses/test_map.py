"""What the map says, and an area narrows, as pure functions over a small real model."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from dashboard.pages.houses import map_area, map_view, pricing
from dashboard.ui import formats
from jobs.houses.price_model.pricer import Pricer
from tests.jobs.houses.price_model import fitting

Publish = Callable[..., str]
HOUSE = str(fitting.real_houses().ids[7])
FOR_SALE = str(fitting.real_houses().ids[-1])


def as_json(part: Component | list[Any]) -> str:
    return json.dumps(part, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_map_tells_sold_from_for_sale_and_filters(publish: Publish) -> None:
    publish()
    found = pricing.PricingCache().catalogue()
    everything = map_view.houses(found, map_view.ALL, "")
    assert map_view.caption(everything).endswith("sold, 0 not sold yet, 50 for sale")
    offered = map_view.houses(found, map_view.FOR_SALE, "")
    assert (len(offered.ids), FOR_SALE in offered.ids) == (50, True)
    at = offered.ids.tolist().index(FOR_SALE)
    assert offered.prices[at] == pytest.approx(Pricer().price(FOR_SALE).price)
    zipcode = map_view.zips(found)[0]
    in_zip = map_view.houses(found, map_view.ALL, zipcode)
    assert set(in_zip.zips) == {float(zipcode)}
    assert len(map_view.houses(found, map_view.ALL, "00000").ids) == 0


def test_the_map_asks_nobody_for_tiles_and_is_small(publish: Publish) -> None:
    publish()
    shown = map_view.houses(pricing.PricingCache().catalogue(), map_view.ALL, "")
    figure = map_view.figure(shown, "dark", "r")
    style = figure.layout.map.style
    assert (list(style["sources"]), "glyphs" in style, "sprite" in style) == (["nothing"], False, False)
    assert all(style.values())  # Plotly would leave out what is empty, and the map would break
    assert len(figure.to_json()) < 60 * len(shown.ids) + 20_000
    points = sum(len(trace.lat) for trace in figure.data if trace.hoverinfo != "skip")
    assert points == len(shown.ids)
    assert f'"data-house": "{shown.ids[np.argmax(shown.prices)]}"' in as_json(map_view.table(shown))


def test_an_area_narrows_the_map_and_its_numbers(publish: Publish) -> None:
    publish()
    found = pricing.PricingCache().catalogue()
    everything = map_view.houses(found, map_view.ALL, "")
    west, south, east, north = -122.40005, 47.50005, -122.20005, 47.60005  # between the data's digits
    inside = (everything.long > west) & (everything.long < east) & (everything.lat > south) & (everything.lat < north)
    box = map_area.narrowed(everything, f"{west},{south},{east},{north}")
    assert 0 < inside.sum() < len(everything.ids)
    assert set(box.ids) == set(everything.ids[inside])
    shown = as_json(map_area.kpis(box, len(everything.ids)))
    assert f'"data-value": "{inside.sum()}"' in shown
    assert f'"data-value": "{float(np.median(everything.prices[inside]))}"' in shown
    sold = everything.prices[inside & (everything.kinds == map_view.SOLD)]
    assert f'"data-value": "{float(np.median(sold))}"' in shown
    assert len(map_area.narrowed(everything, "").ids) == len(everything.ids)
    none = map_area.narrowed(everything, "0,0,1,1")
    assert formats.NOTHING in as_json(map_area.kpis(none, 3))


def test_an_outline_may_be_hollow(publish: Publish) -> None:
    letter_u = "0,0,3,0,3,3,2,3,2,1,1,1,1,3,0,3"
    points = np.array([[0.5, 2.0], [1.5, 2.0], [2.5, 2.0], [1.5, 0.5], [1.5, -1.0], [3.5, 0.5]])
    nowhere = np.full(len(points), np.nan)
    ids = np.arange(len(points)).astype(str)
    shown = map_view.Shown(ids, ids, points[:, 1], points[:, 0], nowhere, nowhere, nowhere)
    assert list(map_area.narrowed(shown, letter_u).ids) == ["0", "2", "3"]


@pytest.mark.parametrize(
    "area", ["1,2", "1,2,3", "a,b,c,d", "nan,1,2,3", "200,1,2,3", ",".join(["1"] * 400), ["1,2,3,4"]]
)
def test_what_is_no_area_is_no_filter(area: Any) -> None:
    assert not map_area.is_area(area)
    assert (map_area.is_area(""), map_area.is_area("-122.4,47.5,-122.2,47.6")) == (True, True)


def test_an_empty_map_can_be_drawn(publish: Publish) -> None:
    publish()
    none = map_view.houses(pricing.PricingCache().catalogue(), map_view.ALL, "00000")
    assert map_view.figure(none, "light", "r").layout.map.zoom == 0
