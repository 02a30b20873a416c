"""A domain with a history and a page, written into a copy of the tree: it is found with no edit elsewhere."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import write_deltalake
from playwright.sync_api import Browser, expect

from lakehouse.contract import standard_tables
from lakehouse.settings import ROOT
from lakehouse.tables import table_io

pytestmark = pytest.mark.e2e
SCHEMA = """
from lakehouse.contract import standard_tables
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.topics import event_topic

READINGS = event_topic("gauges", 1, "what gauges read")
COLUMNS = {"gauge": "STRING", "event_at": "TIMESTAMP"}
HISTORY = standard_tables.history("gauges", COLUMNS, ("gauge", "event_at"), "every reading")
DEAD_LETTERS = standard_tables.dead_letters("gauges", "every record that is no reading")
DOMAIN = Domain(
    name="gauges",
    title="Gauges of the plant",
    topics=(READINGS,),
    tables=(HISTORY, DEAD_LETTERS),
    query_tables={"history": QueryTables((READINGS,), record_tables=(HISTORY, DEAD_LETTERS))},
    dead_letters=DEAD_LETTERS,
    processes=(Process("stream", Job("stream.py"), ("history",)),),
)
"""
SECTION = 'from dashboard.ui.section import Section\n\nSECTION = Section("Gauges", order=60)\n'
SOURCE = """
from dashboard.live.source import Source
from dashboard.ui import event_grid
from jobs.gauges import schema
from lakehouse.tables import loads

COLUMNS = ("gauge", *event_grid.COORDINATES)
SOURCE = Source(schema.DOMAIN, {"newest": (schema.HISTORY, loads.newest(event_grid.ROWS, COLUMNS))})
"""
PAGE = """
from dash import Input, Output, callback, html

from dashboard.pages.gauges.source import SOURCE
from dashboard.server.routes import Route
from dashboard.ui import tiles
from jobs.gauges import schema

NAME, PATH, ORDER = "Dials", "/gauges", 1
SHOWS = {schema.HISTORY.name: "gauges-newest"}
ROUTES = {"/dial/<name>": Route(lambda name: {"dial": name})}
NEWEST = SOURCE.reading("newest")


def layout(**_query):
    tile = tiles.tile("gauges-newest", "Newest", "What the gauges read.", html.Div(id="gauges-rows"))
    return html.Div([html.H1("Gauges"), tile])


@callback(Output("gauges-rows", "children"), *tiles.outputs("gauges-newest"), Input("live", "data"))
def update(_version):
    view = tiles.view_of("gauges")
    reading = view.reading(NEWEST)
    state = tiles.tile_state(reading, view.as_of(schema.HISTORY), "Nothing has been read yet.")
    return ", ".join(reading.frame["gauge"]), *state
"""
STYLE = "#gauges-rows { font-style: italic; }\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code with the domain in it."""
    for name in ("dashboard", "jobs", "lakehouse", "conf"):
        shutil.copytree(ROOT / name, tmp_path / "tree" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for place, text in {
        "jobs/gauges/__init__.py": "",
        "jobs/gauges/schema.py": SCHEMA,
        "dashboard/pages/gauges/__init__.py": SECTION,
        "dashboard/pages/gauges/source.py": SOURCE,
        "dashboard/pages/gauges/dials.py": PAGE,
        "dashboard/assets/gauges/gauges.css": STYLE,
    }.items():
        file = tmp_path / "tree" / place
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def url(tree: Path, lake: Path) -> Iterator[str]:
    """The dashboard of that tree, over a lake in which two gauges were read."""
    history = standard_tables.history("gauges", {"gauge": "STRING", "event_at": "TIMESTAMP"}, ("gauge",), "")
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    coordinates = {"topic": "gauges", "partition": 0, "recorded_at": at}
    rows = [{"gauge": f"g{number}", "event_at": at, "offset": number, **coordinates} for number in range(2)]
    write_deltalake(table_io.create(history), table_io.rows(history, rows), mode="append")
    command = [sys.executable, "-m", "dashboard.app", "--port", "0"]
    environment = os.environ | {"LAKE_VAR": str(lake)}
    app = subprocess.Popen(command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    yield app.stdout.readline().split(" ", 1)[1].strip()
    app.terminate()
    app.wait(20)
    app.stdout.close()


def test_its_page_its_row_and_its_address_are_there(url: str, browser: Browser) -> None:
    page = browser.new_page(base_url=url)
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
    expect.set_options(timeout=30_000)
    page.goto("/")
    expect(page.locator("#overview-gauges h2")).to_have_text("Gauges of the plant")
    expect(page.locator("#overview-gauges-history-value")).to_have_text("2")
    expect(page.locator("#flow-gauges-query-history")).to_contain_text("not started")
    expect(page.locator("#overview-gauges-parity")).to_have_count(0)
    page.locator("#flow-gauges-table-history a").click()
    expect(page).to_have_url(f"{url}/gauges#gauges-newest")
    expect(page.locator("#gauges-rows")).to_have_text("g1, g0")
    expect(page.locator("#gauges-rows")).to_have_css("font-style", "italic")
    expect(page.locator("#nav-gauges-dials")).to_be_visible()
    page.goto("/health-ui")
    expect(page.locator("#health-tables-table tr[data-table='gauges.history']")).to_be_visible()
    assert page.request.get("/dial/pressure").json() == {"dial": "pressure"}
    assert complaints == []
    page.close()
