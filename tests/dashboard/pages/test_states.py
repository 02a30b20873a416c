"""Every page in every state: before its first data, over an empty lake, a lost or damaged table, a corrupt model."""

import json
import re
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from dash.development.base_component import Component
from playwright.sync_api import Page, expect
from plotly.utils import PlotlyJSONEncoder

from dashboard.pages import discovery
from jobs.houses import schema
from jobs.houses.price_model.export import EXPORT
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.tables.table_io import Table
from tests.jobs.houses.price_model import fitting

Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
Publish = Callable[..., str]
HOUSE = str(fitting.real_houses().ids[7])
PRODUCE, RECOMPUTE, TRAIN = (f"./spark-submit.sh jobs/houses/{job}.py" for job in ("produce", "recompute", "train"))
UP = "lake up"
# Each tile of each page over an empty lake: the command that fills it, or the sentence where none is needed.
EMPTY = {
    "/houses": {
        "houses-last-window": PRODUCE,
        "houses-windows": PRODUCE,
        "houses-feed": PRODUCE,
        "houses-parity": RECOMPUTE,
    },
    "/houses/price": {"price-answer": TRAIN},
    "/models": {"models-trend": TRAIN, "models-live-error": TRAIN, "models-versions": TRAIN},
    "/houses/map": {"map-houses": TRAIN},
    f"/houses/house/{HOUSE}": {"house-sales": TRAIN, "house-facts": TRAIN, "house-near": TRAIN},
    "/health-ui": {
        "health-queries": UP,
        "health-history": UP,
        "health-partitions": UP,
        "health-topics": UP,
        "health-audit": "lake audit",
        "health-dead-letters": "every event so far was valid",
        "health-tables": UP,
        "health-processes": UP,
    },
}


def as_json(component: Component) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def notice(page: Page, tile: str, state: str, text: str) -> None:
    """The tile is in the state, and its notice tells this."""
    expect(page.locator(f"#{tile}")).to_have_attribute("data-state", re.compile(f"^({state})$"))
    expect(page.locator(f"#{tile}-notice")).to_contain_text(text)
    expect(page.locator(f"#{tile}-notice")).to_be_visible()


@pytest.mark.parametrize("module", discovery.pages(), ids=lambda module: module.__name__)
def test_every_tile_is_a_skeleton_before_its_first_data(module: Any) -> None:
    shown = as_json(module.layout())
    states = re.findall(r'"data-state": "(\w+)"', shown)
    assert states and set(states) == {"loading"}
    assert shown.count('"className": "skeleton"') >= len(states)


@pytest.mark.e2e
@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_lake_names_the_command_on_every_tile(page: Page, path: str) -> None:
    page.goto(path)
    for tile, text in EMPTY[path].items():
        notice(page, tile, "empty|error", text)
    known = page.locator("section.tile").evaluate_all("tiles => tiles.map(tile => tile.id)")
    shown = [tile for tile in known if page.locator(f"#{tile}").is_visible()]
    assert set(shown) == set(EMPTY[path])


@pytest.mark.e2e
def test_the_overview_of_an_empty_lake_says_what_is_not_there(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#overview-houses-notice")).to_contain_text(UP)
    for part, word in {
        "table-history": "empty",
        "table-averages": "empty",
        "recompute": "never run",
        "page": "nothing yet",
    }.items():
        expect(page.locator(f"#flow-houses-{part} .node-word")).to_have_text(word)
    expect(page.locator("#overview-houses-parity")).to_contain_text("never recomputed")


@pytest.fixture
def sales(write: Write, sale: Build, average: Build, compared: Build) -> None:
    """A lake with a row in every table that a page lives on."""
    write(schema.HISTORY, sale(1), sale(2, id=HOUSE))
    write(schema.AVERAGES, average(0), average(1))
    write(schema.PARITY, compared(0, "late"), compared(1))


def damage(table: Table) -> None:
    for commit in (table.path / "_delta_log").glob("*.json"):
        commit.write_text("{ torn")


@pytest.fixture
def damaged(sales: None, publish: Publish) -> None:
    """The same with a model, and a history that was damaged before the dashboard started."""
    publish()
    damage(schema.HISTORY)


DAMAGED = "The table houses.{} cannot be read"
REBUILD = "lake rebuild houses.history"


@pytest.mark.e2e
@pytest.mark.usefixtures("damaged")
def test_a_damaged_table_is_named_where_it_matters_and_nowhere_else(page: Page) -> None:
    page.goto("/houses")
    notice(page, "houses-feed", "error", DAMAGED.format("history"))
    notice(page, "houses-feed", "error", REBUILD)
    for tile in ("houses-last-window", "houses-windows", "houses-parity"):
        expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
    expect(page.locator("#status-pill")).to_contain_text("STALE")
    page.goto("/")
    expect(page.locator("#flow-houses-table-history .node-word")).to_have_text("unreadable")
    expect(page.locator("#overview-houses-history")).to_contain_text("cannot be read")
    expect(page.locator("#flow-houses-table-averages .node-word")).to_have_text("filled")
    page.goto("/health-ui")
    row = page.locator("#health-tables-table tr[data-table='houses.history']")
    expect(row.locator("[data-field='operation']")).to_have_text("cannot be read")
    page.goto(f"/houses/house/{HOUSE}")
    notice(page, "house-sales", "error", DAMAGED.format("history"))
    expect(page.locator("#house-near")).to_have_attribute("data-state", "ready")


@pytest.mark.e2e
@pytest.mark.usefixtures("sales")
def test_a_table_damaged_while_shown_keeps_its_rows_as_stale(page: Page, write: Write, average: Build) -> None:
    page.goto("/houses")
    row = page.locator("#houses-last-window-table tr[data-decade='1990']")
    expect(row).to_have_count(1)
    log = schema.AVERAGES.path / "_delta_log"
    newest = max(log.glob("*.json"))
    (log / f"{int(newest.stem) + 1:020}.json").write_text("{ torn")
    notice(page, "houses-last-window", "stale", DAMAGED.format("averages"))
    expect(row).to_have_count(1)


@pytest.mark.e2e
@pytest.mark.usefixtures("sales")
def test_a_lost_table_is_empty_again_and_names_its_command(page: Page) -> None:
    page.goto("/houses")
    for tile in ("houses-last-window", "houses-feed", "houses-parity"):
        expect(page.locator(f"#{tile}")).to_have_attribute("data-state", "ready")
    shutil.rmtree(schema.PARITY.path)
    notice(page, "houses-parity", "empty", RECOMPUTE)
    shutil.rmtree(schema.AVERAGES.path)
    notice(page, "houses-last-window", "empty", PRODUCE)
    expect(page.locator("#houses-feed")).to_have_attribute("data-state", "ready")


@pytest.mark.e2e
def test_a_corrupt_model_is_named_with_the_command_that_helps(page: Page, publish: Publish) -> None:
    version = publish()
    file = Registry(PRICE_MODEL).path(version) / EXPORT
    file.write_bytes(file.read_bytes() + b" ")
    for path, tile in {"/houses/map": "map-houses", f"/houses/price?id={HOUSE}": "price-answer"}.items():
        page.goto(path)
        notice(page, tile, "error", f"{EXPORT} has changed since it was written.")
        notice(page, tile, "error", "lake models rollback")
    Registry(PRICE_MODEL).file.write_text("{")
    page.goto("/models")
    notice(page, "models-versions", "stale", "lake models rollback")
    page.goto(f"/houses/house/{HOUSE}")
    notice(page, "house-near", "error", "lake models rollback")
