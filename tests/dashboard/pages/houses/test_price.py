"""What the price page, the models page and the map say, as pure functions over a small real model."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from dashboard.live.snapshot import Live
from dashboard.pages import live_error_view, models_view
from dashboard.pages.houses import fact_sliders, live_view, models, price_view, pricing, source
from dashboard.pages.houses.price_view import Asked
from dashboard.ui import formats, model_charts
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import UnknownHouseError
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.live_error import Compared, LiveError, VersionError
from lakehouse.models.registry import Registry
from tests.jobs.houses.price_model import fitting

Publish = Callable[..., str]
HOUSE = str(fitting.real_houses().ids[7])
FOR_SALE = str(fitting.real_houses().ids[-1])


def as_json(part: Component | list[Any]) -> str:
    return json.dumps(part, cls=PlotlyJSONEncoder, ensure_ascii=False)


def asked(house: str, **changes: float) -> Asked:
    return {"id": house, "changes": changes, "ignored": []}


def test_a_view_has_only_the_changes_that_change_something(publish: Publish) -> None:
    publish()
    pricer = Pricer()
    own = pricer.price(HOUSE).facts["grade"]
    view = price_view.look(pricer, asked(HOUSE, lat=47.5), {"grade": own, "condition": 5.0}, afresh=False)
    assert view is not None
    assert view.changes == {"lat": 47.5, "condition": 5.0}
    assert view.now.price == pricer.price(HOUSE, {"lat": 47.5, "condition": 5.0}).price
    back = price_view.look(pricer, asked(HOUSE, lat=47.5), {"grade": own}, afresh=True)
    assert back is not None
    assert (back.changes, back.now) == ({}, back.original)


def test_a_view_without_a_house_still_asks_for_a_model(publish: Publish) -> None:
    publish()
    assert price_view.look(Pricer(), asked(""), {}, afresh=False) is None
    with pytest.raises(UnknownHouseError):
        price_view.look(Pricer(), asked("none"), {}, afresh=False)


def test_the_address_is_of_exactly_this_view(publish: Publish) -> None:
    address = price_view.address("71 29", {"grade": 9.0, "bathrooms": 2.25})
    assert address == "/houses/price?id=71+29&grade=9&bathrooms=2.25"
    changes, ignored = pricing.usable({"grade": "9", "bathrooms": "2.25", "colour": "red", "view": "x"})
    assert changes == {"grade": 9.0, "bathrooms": 2.25}
    assert ["colour is not a fact" in ignored[0], "view must be a number from 0 to 4" in ignored[1]] == [True, True]


def test_the_numbers_on_top_are_those_of_the_answer(publish: Publish) -> None:
    publish()
    answer = Pricer().price(HOUSE)
    shown = as_json(price_view.kpis(answer, answer))
    assert f'"data-value": "{answer.price}"' in shown
    assert (f'"data-low": "{answer.low}"' in shown, f'"data-high": "{answer.high}"' in shown) == (True, True)
    assert f'"data-value": "{answer.sold_price}"' in shown
    assert formats.signed_percent(answer.price / answer.sold_price - 1) in shown
    assert "v0001" in shown
    offered = Pricer().price(FOR_SALE)
    assert "For sale" in as_json(price_view.kpis(offered, offered))


def test_the_table_adds_up_to_the_price(publish: Publish) -> None:
    publish()
    answer = Pricer().price(HOUSE)
    rows = json.loads(as_json(price_view.contribution_table(answer)))
    body = rows["props"]["children"]["props"]["children"][2]["props"]["children"]
    dollars = [float(row["props"]["children"][2]["props"]["data-value"]) for row in body]
    assert sum(dollars[:-1]) == pytest.approx(dollars[-1])
    assert dollars[-1] == answer.price


def test_the_waterfall_ends_at_the_price_and_draws_small_parts_as_one() -> None:
    parts = [(f"part {number}", float(number)) for number in range(1, 16)]
    figure = model_charts.waterfall(1000.0, [*parts, ("<b>bad</b>", -500.0)], 620.0, "light", "r")
    bars = figure.data[0]
    assert (bars.measure[0], bars.measure[-1], bars.x[-1]) == ("absolute", "total", 620.0)
    assert sum(bars.x[:-1]) == pytest.approx(620.0)
    assert len(bars.x) == model_charts.SHOWN_PARTS + 3
    assert "&lt;b&gt;bad&lt;/b&gt;" in bars.y
    assert "6 smaller ones" in bars.y


def test_imputed_facts_are_named(publish: Publish) -> None:
    original = fitting.real_houses()
    facts = {**original.facts, "condition": np.where(original.ids == HOUSE, np.nan, original.facts["condition"])}
    publish(houses=type(original)(original.ids, facts, original.prices))
    answer = Pricer().price(HOUSE)
    assert "condition, 1 to 5" in price_view.imputed_line(answer)
    assert "typical value" in as_json(price_view.fact_table(answer))
    assert len(fact_sliders.sliders(answer, {})) == len(fact_sliders.SLIDERS)


def test_a_slider_holds_the_houses_own_value(publish: Publish) -> None:
    publish()
    answer = Pricer().price(HOUSE)
    shown = as_json(fact_sliders.sliders(answer, {"sqft_living": 12_000.0, "grade": 11.0}))
    assert '"max": 1200' in shown  # 12,000, or what lies a step above it
    assert '"value": 11.0' in shown
    assert '"thumbLabel": "Bathrooms"' in shown


@pytest.mark.parametrize("own", [1805.0, 1800.0, 297.0, 8003.0])
@pytest.mark.parametrize("value", [None, 2000.0, 12_007.0, 11.0])
def test_a_slider_comes_back_to_the_houses_own_value_exactly(publish: Publish, own: float, value: float | None) -> None:
    publish()
    answer = replace(Pricer().price(HOUSE), facts={**Pricer().price(HOUSE).facts, "sqft_living": own})
    built = fact_sliders.sliders(answer, {} if value is None else {"sqft_living": value})
    slider = json.loads(as_json(built[0]))["props"]["children"][1]["props"]
    shown = own if value is None else value
    assert (slider["value"], slider["min"] <= min(own, shown), slider["max"] >= max(own, shown)) == (shown, True, True)
    if slider["min"] != shown:  # else the value of the address lies below what the slider offers
        assert (own - slider["min"]) % slider["step"] == 0


def test_an_unknown_house_leads_to_those_like_it() -> None:
    shown = as_json(price_view.unknown("No house has the id '<b>'.", ["712", "713"]))
    assert '"href": "/houses/price?id=712"' in shown
    assert "No house has the id '<b>'." in shown


def test_predicted_prices_are_asked_for_once(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    publish()
    shared = pricing.PricingCache()
    version, prices = shared.predicted([HOUSE, "none"])
    assert (version, prices["none"]) == ("v0001", None)
    assert prices[HOUSE] == pytest.approx(Pricer().price(HOUSE).price)
    monkeypatch.setattr(shared.pricer, "price_many", lambda _ids: pytest.fail("asked again"))
    assert shared.predicted([HOUSE, "none"])[1] == prices


def test_without_a_model_nothing_is_predicted_and_the_command_is_named(lake: Path) -> None:
    assert pricing.PricingCache().predicted([HOUSE]) == ("", {})
    assert "jobs/houses/train.py" in as_json(live_view.feed_model(""))
    state = models_view.models_state(pricing.PricingCache().models())
    assert state.state == "empty"
    assert "./spark-submit.sh jobs/houses/train.py" in as_json(list(state.notice))


def test_the_snapshot_follows_versions_and_rollback(publish: Publish) -> None:
    publish()
    live = Live([source.SOURCE])
    first = live.refresh()
    assert live.refresh().version == first.version
    publish(factor=1.5)
    second = live.refresh()
    found = second.domains["houses"].models["price"]
    assert (found.live, found.best, len(found.versions)) == ("v0002", "v0001", 2)
    assert second.version != first.version
    Registry(PRICE_MODEL).rollback("too high")
    found = live.refresh().domains["houses"].models["price"]
    assert found.live == "v0001"
    first_row = as_json(models_view.version_table(found)).split('"data-version": "v0002"')[1]
    assert ("badge-live" in first_row, "badge-best" in first_row) == (True, True)
    assert "too high" in as_json(models_view.switch_table(found))


def test_a_damaged_version_is_shown_as_such(publish: Publish) -> None:
    publish()
    (Registry(PRICE_MODEL).path(publish()) / "manifest.json").write_text("{")
    found = pricing.PricingCache().models()
    assert '"data-outcome": "damaged"' in as_json(models_view.version_table(found))
    assert len(models_view.version_frame(found)) == 1


def test_a_damaged_registry_keeps_the_versions(publish: Publish) -> None:
    publish()
    Registry(PRICE_MODEL).file.write_text("{")
    found = pricing.PricingCache().models()
    state = models_view.models_state(found)
    assert (state.state, len(found.versions), found.live) == ("stale", 1, None)
    assert "rollback" in as_json(list(state.notice))


def test_live_error_stands_beside_the_hold_out_error(publish: Publish) -> None:
    publish()
    sold = Compared(HOUSE, datetime(2026, 5, 1, 12, tzinfo=UTC), 400_000.0, 440_000.0, "v0001")
    errors = LiveError((VersionError("v0001", 3, 0.1, 0.125),), (sold,))
    found = replace(pricing.PricingCache().models(), live_error=errors)
    assert PRICE_MODEL.live
    table = as_json(live_error_view.table(found, errors, PRICE_MODEL.live))
    assert ("10.0 %" in table, "12.5 %" in table) == (True, True)
    newest = as_json(models.newest_table(errors.newest))
    assert ("+10.0 %" in newest, f"/houses/price?id={HOUSE}" in newest) == (True, True)
    for_nothing = as_json(models.newest_table([sold._replace(actual=0.0)]))
    assert ("$440,000" in for_nothing, "inf" in for_nothing) == (True, False)
    assert "3 houses sold since" in as_json(models_view.kpis(found))
    frame = models_view.version_frame(found)
    assert frame["live"].tolist() == [0.1]
    assert model_charts.versions(frame, PRICE_MODEL.shown[:2], "houses sold since", "dark", "r").data[2].y == (0.1,)


def test_only_the_price_model_is_shown_in_the_words_of_houses() -> None:
    own = models.details(PRICE_MODEL)
    assert own
    assert (own.newest_table, own.why_empty) == (models.newest_table, models.why_empty)
    assert models.details(replace(PRICE_MODEL, name="rent")) is None


@pytest.mark.parametrize(
    ("errors", "state"),
    [
        (LiveError(), "empty"),
        (LiveError(error="The live error cannot be read."), "error"),
        (LiveError((VersionError("v0001", 1, 0.1, 0.1),), error="The live error cannot be read."), "stale"),
        (None, "error"),
    ],
)
def test_the_live_error_tile_has_four_states(publish: Publish, errors: LiveError | None, state: str) -> None:
    publish()
    assert live_error_view.state(replace(pricing.PricingCache().models(), live_error=errors)).state == state


@pytest.mark.parametrize(
    ("value", "shown"), [(12_345.0, "+$12.3k"), (-450.2, "-$450"), (-1_250_000.0, "-$1.25M"), (150_000.0, "+$150k")]
)
def test_short_dollars_have_their_sign(value: float, shown: str) -> None:
    assert formats.signed_short_money(value) == shown
