"""Every tile and chart: what the page shows = what the tick answers = what a few lines of pyarrow read from Delta."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboard import golden
from tests.dashboard.golden import HOUSE
from tests.dashboard.golden_cases import CASES, Case, priced
from tests.dashboard.served import App
from tests.dashboard.tab import Json, Tab, components
from tests.own_lake import own_lake
from tests.waiting import wait_for

pytestmark = pytest.mark.e2e

# How each kind of tile is read off the page: ([id, more]) => value.
IN_PAGE = {
    "text": "([id]) => document.getElementById(id + '-value').textContent",
    "age": "([id]) => document.querySelector(`#${id}-value [data-age]`).dataset.age",
    "exact": "([id]) => document.querySelector(`#${id}-value [data-value]`).dataset.value",
    "low": "([id]) => document.querySelector(`#${id}-value [data-low]`).dataset.low",
    "box": """([id, label]) => [...document.querySelectorAll(`#${id} dl > div`)]
        .find(pair => pair.children[0].textContent === label).children[1].textContent""",
    "cells": """([id, field]) => [...document.querySelectorAll(`#${id} td[data-field='${field}']`)]
        .map(cell => cell.dataset.value ?? null)""",
    "sum": """([id, field]) => [...document.querySelectorAll(`#${id} td[data-field='${field}']`)]
        .map(cell => Number(cell.dataset.value)).reduce((a, b) => a + b, 0)""",
    "topic": """([id, field]) => document.querySelector(`#${id} tr[data-topic='houses'] td[data-field='${field}']`)
        .dataset.value""",
    "chart": "([id, axis]) => document.querySelector(`#${id} .js-plotly-plot`).data.map(trace => trace[axis])",
    "bands": """([id]) => { const bands = document.querySelector(`#${id} .js-plotly-plot`).data.at(-2);
        return bands.y.map((value, at) => [value, bands.error_y.array[at]]); }""",
    "counts": "([id]) => document.querySelector(`#${id} .js-plotly-plot`).data.at(-1).text",
    "line": "([id, number]) => document.querySelector(`#${id} .js-plotly-plot`).data[number].y",
    "points": """([id, number]) => document.querySelector(`#${id} .js-plotly-plot`).data[number].y
        .filter(value => value !== null)""",
    "newest": """([id, number]) => document.querySelector(`#${id} .js-plotly-plot`).data[number].y
        .filter(value => value !== null).at(-1)""",
    "total": """([id]) => { const x = document.querySelector(`#${id} .js-plotly-plot`).data[0].x;
        return [x.slice(0, -1).reduce((a, b) => a + b, 0), x.at(-1)]; }""",
    "windows": """([_id]) => [...document.getElementById('houses-windows-rows').rows].map(row =>
        [row.dataset.window, row.dataset.decade, row.cells[2].dataset.value, row.cells[3].dataset.value])""",
    "points_of_map": """([id]) => document.querySelector(`#${id} .js-plotly-plot`).data
        .flatMap(trace => [...(trace.customdata || [])]).sort()""",
    "predicted": """([id]) => { const rows = []; window.dash_ag_grid.getApi(id).forEachNode(
        node => node.data.predicted === null || rows.push([node.data.id, node.data.predicted])); return rows; }""",
    "feed": """([id]) => { const rows = []; window.dash_ag_grid.getApi(id).forEachNode(
        node => rows.push([node.data.id, node.data.price, node.data.sqft])); return rows; }""",
}


class Answers:
    """What the ticks of a page have answered, read as the page is."""

    def __init__(self, values: dict[str, Json]) -> None:
        self._values = values

    def of(self, kind: str, where: str, more: str) -> Any:
        read: Callable[..., Any] = getattr(self, f"_{kind}")
        return read(where, more)

    def _component(self, name: str) -> Json:
        found = [props for value in self._values.values() for id_, props in components(parts(value)) if id_ == name]
        return found[-1] if found else self._values[name]

    def _attribute(self, name: str, attribute: str) -> Any:
        inside = [props for props in every(self._component(f"{name}-value")) if attribute in props]
        return inside[0][attribute]

    def _traces(self, name: str) -> list[Json]:
        traces: list[Json] = self._values[f"{name}-figure"]["data"]["data"]
        return traces

    def _text(self, name: str, _more: str) -> str:
        return words(self._component(f"{name}-value"))

    def _age(self, name: str, _more: str) -> Any:
        return self._attribute(name, "data-age")

    def _exact(self, name: str, _more: str) -> Any:
        return self._attribute(name, "data-value")

    def _low(self, name: str, _more: str) -> Any:
        return self._attribute(name, "data-low")

    def _box(self, name: str, label: str) -> str:
        pairs = [props for props in every(self._component(name)) if isinstance(props.get("children"), list)]
        shown = [[words(part["props"]) for part in pair["children"]] for pair in pairs if len(pair["children"]) == 2]
        return next(value for called, value in shown if called == label)

    def _cells(self, name: str, field: str) -> list[Any]:
        return [props.get("data-value") for props in every(self._component(name)) if props.get("data-field") == field]

    def _sum(self, name: str, field: str) -> float:
        return sum(float(value) for value in self._cells(name, field))

    def _topic(self, _name: str, field: str) -> Any:
        rows = self._values["health-topics-rows"]["children"]
        row = next(row for row in rows if row["props"]["data-topic"] == "houses")
        return next(props["data-value"] for props in every(row["props"]) if props.get("data-field") == field)

    def _chart(self, name: str, axis: str) -> list[Any]:
        return [trace[axis] for trace in self._traces(name)]

    def _bands(self, name: str, _more: str) -> list[Any]:
        bands = self._traces(name)[-2]
        return [[*both] for both in zip(bands["y"], bands["error_y"]["array"], strict=True)]

    def _counts(self, name: str, _more: str) -> list[str]:
        counts: list[str] = self._traces(name)[-1]["text"]
        return counts

    def _line(self, name: str, number: str) -> Any:
        return self._traces(name)[int(number)]["y"]

    def _points(self, name: str, number: str) -> list[float]:
        return [value for value in self._line(name, number) if value is not None]

    def _newest(self, name: str, number: str) -> float:
        return self._points(name, number)[-1]

    def _total(self, name: str, _more: str) -> list[float]:
        steps = self._traces(name)[0]["x"]
        return [sum(steps[:-1]), steps[-1]]

    def _windows(self, name: str, _more: str) -> list[Any]:
        return [row[:4] for row in self._values[name]["data"]]

    def _points_of_map(self, name: str, _more: str) -> list[str]:
        return sorted(house for trace in self._traces(name) for house in trace.get("customdata") or [])

    def _predicted(self, name: str, _more: str) -> list[Any]:
        added = self._values[name]["rowTransaction"]["add"]
        return [[row["id"], row["predicted"]] for row in added if row["predicted"] is not None]

    def _feed(self, name: str, _more: str) -> list[Any]:
        return [[row["id"], row["price"], row["sqft"]] for row in self._values[name]["rowTransaction"]["add"]]


def parts(value: Json) -> Any:
    """A component's children, where it has any."""
    return value.get("children")


def every(props: Json) -> Iterator[Json]:
    """The properties of a component and of all in it."""
    yield props
    children = props.get("children")
    for child in children if isinstance(children, list) else [children]:
        if isinstance(child, dict) and "props" in child:
            yield from every(child["props"])


def words(props: Json) -> str:
    """The text of a component."""
    children = props.get("children")
    listed = children if isinstance(children, list) else [children]
    return "".join(words(part["props"]) if isinstance(part, dict) else str(part or "") for part in listed)


class Site:
    """The dashboard over the golden lake, each page opened once and read off many times."""

    def __init__(self, app: App, browser: Browser) -> None:
        self.app, self._browser = app, browser
        self._pages: dict[str, Page] = {}
        self._answers: dict[str, Answers] = {}

    def page(self, path: str) -> Page:
        if path not in self._pages:
            page = self._pages[path] = self._browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(self.app.url + path)
            page.wait_for_selector(".tile")
        return self._pages[path]

    def answers(self, path: str) -> Answers:
        if path not in self._answers:
            tab = Tab(self.app.url, path)
            wait_for(lambda: tab.tick() and self._filled(tab))
            self._answers[path] = Answers(tab.values)
        return self._answers[path]

    @staticmethod
    def _filled(tab: Tab) -> bool:
        states = [props.get("data-state") for props in tab.values.values()]
        return tab.version is not None and "loading" not in states and "error" not in states

    def close(self) -> None:
        for page in self._pages.values():
            page.close()
        self.app.kill()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, broker: str, browser: Browser) -> Iterator[Site]:
    var: Path = tmp_path_factory.mktemp("golden") / "var"
    with own_lake(var, LAKE_BOOTSTRAP_SERVERS=broker):
        golden.fill(broker)
        running = Site(App(var), browser)
        yield running
        running.close()


def plain(value: Any) -> Any:
    """Numbers as numbers, wherever they were written as text."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    try:
        return round(float(value), 6)
    except (TypeError, ValueError):
        return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.page} {case.where} {case.kind}")
def test_page_answer_and_delta_are_equal(site: Site, case: Case) -> None:
    where, _, more = case.where.partition(" ")
    page, wanted = site.page(case.page), plain(case.wanted())
    last: dict[str, Any] = {}

    def shown() -> bool:
        try:
            last["page"] = plain(page.evaluate(IN_PAGE[case.kind], [where, more]))
        except Exception as error:
            last["page"] = str(error)
        return bool(last["page"] == wanted)

    try:
        wait_for(shown)
    except AssertionError:
        assert last["page"] == wanted
    assert plain(site.answers(case.page).of(case.kind, where, more)) == wanted


def test_the_price_api_answers_what_delta_holds(site: Site) -> None:
    with urlopen(f"{site.app.url}/api/houses/{HOUSE}/price") as response:
        answer = json.load(response)
    wanted = priced()
    assert [answer[name] for name in ("price", "low", "high")] == [wanted[name] for name in ("price", "low", "high")]
