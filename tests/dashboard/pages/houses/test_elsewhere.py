"""The pages of a lake that holds only houses of another county: its places, and nothing of King County."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from dashboard.pages.houses import fact_sliders, house_view, map_view, price_view, pricing
from dashboard.pages.houses.price_view import Asked
from jobs.houses.price_model import answers, house_columns
from jobs.houses.price_model.house_columns import FACTS, Houses
from jobs.houses.price_model.pricer import Pricer
from tests.jobs.houses import elsewhere

Publish = Callable[..., str]


def perth(**changed: float) -> Houses:
    """Houses as a training has them: what was not sent is unknown."""
    sales = elsewhere.county(400)
    day = {"listed_day": 20_000.0}
    rows = {name: [(sale | day | changed).get(name) for sale in sales] for name in (*FACTS, "price")}
    houses = house_columns.columns([sale["id"] for sale in sales], rows)
    return houses.take(np.argsort(houses.ids))


def as_json(part: Component | list[Any]) -> str:
    return json.dumps(part, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_map_is_drawn_where_the_houses_are(publish: Publish) -> None:
    publish(houses=perth())
    found = pricing.PricingCache().catalogue()
    shown = map_view.houses(found, map_view.ALL, "")
    assert (len(shown.ids), map_view.zips(found)) == (400, [])
    view = map_view.figure(shown, "light", "r").layout.map
    assert (round(view.center.lat), round(view.center.lon), view.zoom > 7) == (-32, 116, True)
    table = as_json(map_view.table(shown))
    assert '"data-house": "WA-run-' in table
    assert "NaN" not in table


def test_houses_whose_place_is_not_known_are_not_drawn_elsewhere(publish: Publish) -> None:
    publish(houses=perth(lat=np.nan, long=np.nan))
    found = pricing.PricingCache().catalogue()
    shown = map_view.houses(found, map_view.ALL, "")
    assert (len(shown.ids), map_view.has_places(found)) == (0, False)
    view = map_view.figure(shown, "light", "r").layout.map
    assert (view.center.lat, view.center.lon, view.zoom) == (0, 0, 0)
    answer = Pricer().price("WA-run-300")
    assert next(part for part in answer.contributions if part.name == "location").value_text == answers.NOT_KNOWN
    assert {sale.km for sale in answer.comparables} <= {None}
    assert "NaN" not in as_json(price_view.comparable_table(answer.comparables))


def test_what_no_house_has_is_named_and_has_no_slider(publish: Publish) -> None:
    publish(houses=perth())
    answer = Pricer().price("WA-run-300")
    line = price_view.imputed_line(answer)
    assert line.startswith("Not known of any house, so no part of the price: condition, 1 to 5, grade, 1 to 13,")
    assert "typical" not in line
    sliders = as_json(fact_sliders.sliders(answer, {}))
    assert "what-if-grade" not in sliders
    assert "what-if-sqft_living" in sliders
    assert "not known" in as_json(price_view.fact_table(answer))
    assert "grade" not in {name for name, value in answer.facts.items() if value is not None}
    shown = as_json([price_view.contribution_table(answer), *price_view.kpis(answer, answer)])
    assert "zip code" not in shown
    near = answers.nearest(Pricer().known().houses, answer.id, answer.facts["lat"], answer.facts["long"])
    assert "NaN" not in as_json(house_view.near_table(near))
    assert Pricer().search("WA-run-300", 1)[0].about.endswith("sq ft")


def test_houses_without_a_day_or_a_place_are_priced(publish: Publish) -> None:
    """As from a file of ten columns."""
    publish(houses=perth(listed_day=np.nan, lat=np.nan, long=np.nan))
    old, new = (Pricer().price("WA-run-300", {"yr_built": year}) for year in (1950.0, 2019.0))
    assert (old.listed_on, old.comparables, np.isfinite(old.price)) == (None, [], True)
    assert next(part for part in old.contributions if part.name == "listed_day").value_text == answers.NOT_KNOWN
    basis = Pricer().model().fit.basis
    assert basis.days[0] == basis.days[1] > 17_000, "so that a house of 2019 is new, and one of 1950 old"
    assert old.price != new.price


def test_a_slider_of_a_fact_this_house_lacks_changes_nothing_by_itself(publish: Publish) -> None:
    houses = perth(grade=9.0)
    grades = np.where(houses.ids == "WA-run-300", np.nan, houses.facts["grade"])
    publish(houses=Houses(houses.ids, {**houses.facts, "grade": grades}, houses.prices))
    pricer = Pricer()
    answer = pricer.price("WA-run-300")
    assert (answer.facts["grade"], answer.stand_ins["grade"]) == (None, 9.0)
    sliders = json.loads(as_json(fact_sliders.sliders(answer, {})))
    values = [part["props"]["children"][1]["props"] for part in sliders]
    chosen = {slider["id"]["name"]: float(slider["value"]) for slider in values}
    view = price_view.look(pricer, Asked(id="WA-run-300", changes={}, ignored=[]), chosen, afresh=False)
    assert view is not None
    assert (chosen["grade"], view.changes) == (9.0, {})
