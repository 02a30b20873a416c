"""The Health page in a real browser, over a lake and over files that the test writes."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs.houses import schema
from lakehouse.core import run_state
from tests.dashboard.pages.health import health_fakes
from tests.dashboard.served import wait_until

pytestmark = pytest.mark.e2e
Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]
MARKUP = "<img src=x onerror=window.harm=1>"
STAYS = datetime(2100, 1, 1, tzinfo=UTC)  # a driver whose last word never grows old


@pytest.fixture
def platform(write: Write, sale: Build) -> None:
    """Two queries, one too slow, a dead letter that is markup, a history with a gap, a process that has failed."""
    for query in ("averages", "history"):
        health_fakes.checkpoint(query, watermark_ms=1_777_636_740_000)
    health_fakes.progress("averages", STAYS)
    slow = {"triggerExecution": 12_000, "addBatch": 11_000}
    health_fakes.progress("history", STAYS, trigger="10 seconds", durationMs=slow, stateOperators=[])
    health_fakes.processes(restarts=3, last_error="exit code 1: <b>it hurt</b>")
    samples = [(ago, {"input": 20.0, "seconds": 0.5}) for ago in [*range(600, 400, -5), *range(100, 0, -5)]]
    health_fakes.history("houses.averages", iter(samples))
    health_fakes.history("houses.averages.lag", iter([(ago, {"lag": ago, "houses:0": ago}) for ago in (60, 50, 40)]))
    write(schema.HISTORY, sale(1), sale(2))
    dead = {"topic": "houses", "partition": 0, "offset": 99, "recorded_at": sale(1)["recorded_at"]}
    write(schema.DEAD_LETTERS, dead | {"reason": "<b>bad</b>", "value": MARKUP.encode()})


@pytest.mark.usefixtures("platform")
def test_the_page_shows_the_numbers_of_the_lake_and_follows_them(page: Page, write: Write, sale: Build) -> None:
    page.goto("/health-ui")
    for tile in ("queries", "history", "partitions", "dead-letters", "tables", "processes"):
        expect(page.locator(f"#health-{tile}")).to_have_attribute("data-state", "ready")
    expect(page.locator("#health-topics")).to_have_attribute("data-state", "error")  # no broker here
    expect(page.locator("#health-topics-notice")).to_contain_text("lake up")
    averages = page.locator("#health-queries-table tr[data-query='houses.averages']")
    expect(averages.locator("[data-field='state']")).to_have_text("running")
    expect(averages.locator("[data-field='input']")).to_have_attribute("data-value", "20.25")
    expect(averages.locator("[data-field='state_rows']")).to_have_text("24")
    expect(averages.locator(".sparkline")).to_have_attribute("aria-label", "Lag of houses.averages over the last 15 "
        "minutes: lowest 40, highest 60, now 40")  # fmt: skip
    history = page.locator("#health-queries-table tr[data-query='houses.history']")
    expect(history.locator(".load")).to_have_attribute("data-load", "over")
    summary = page.locator("#health-history-table tr[data-summary='houses.averages']")
    expect(summary.locator("[data-field='lag']")).to_have_text("60")
    expect(summary.locator("[data-field='input']")).to_have_attribute("data-value", "20.0")
    lines = "document.querySelector('#health-rate-chart .js-plotly-plot')?.data"
    wait_until(page, f"{lines}?.length == 4 && {lines}[0].y.includes(null)")
    table = page.locator("#health-tables-table tr[data-table='houses.history']")
    expect(table.locator("[data-field='rows']")).to_have_text("2")
    write(schema.HISTORY, sale(3))
    expect(table.locator("[data-field='rows']")).to_have_text("3")
    health_fakes.progress("averages", STAYS, error="Query houses.averages stopped: it hurt")
    expect(averages.locator("[data-field='state']")).to_have_text("failed")
    expect(page.locator("tr[data-error-of='houses.averages']")).to_contain_text("it hurt")


@pytest.mark.usefixtures("platform")
def test_text_of_events_is_text(page: Page) -> None:
    page.goto("/health-ui")
    row = page.locator("#health-dead-letters-table tbody tr")
    expect(row.locator("[data-field='reason']")).to_have_text("<b>bad</b>")
    expect(row.locator("[data-field='sample']")).to_have_text(MARKUP)
    expect(page.locator("tr[data-error-of='houses.stream']")).to_contain_text("<b>it hurt</b>")
    assert page.evaluate("window.harm") is None
    assert page.locator("#health .tile-body img, #health .tile-body b").count() == 0


@pytest.mark.usefixtures("platform")
def test_a_silent_broker_is_said_by_the_look_at_messages(page: Page) -> None:
    page.goto("/health-ui")
    expect(page.locator("#health-queries-notice")).to_contain_text("Lag is unknown")
    expect(page.locator("#health-queries-table [data-query='houses.averages'] [data-field='lag']")).to_have_text("–")


def test_an_empty_lake_names_the_command(page: Page) -> None:
    page.goto("/health-ui")
    for tile in ("queries", "history", "tables"):
        expect(page.locator(f"#health-{tile}")).to_have_attribute("data-state", "empty")
        expect(page.locator(f"#health-{tile}-notice")).to_contain_text("lake up")
    expect(page.locator("#health-dead-letters-notice")).to_contain_text("every event so far was valid")


@pytest.mark.usefixtures("platform")
def test_a_narrow_page_has_no_horizontal_scrollbar(page: Page) -> None:
    page.goto("/health-ui")
    expect(page.locator("#health-queries")).to_have_attribute("data-state", "ready")
    inside = "[...document.querySelectorAll('.page > *, .tile')]"
    widest = f"Math.max(...{inside}.map(element => element.getBoundingClientRect().right))"
    for width in (1440, 1024, 390):
        page.set_viewport_size({"width": width, "height": 844})
        wait_until(page, f"{widest} <= {width} && document.documentElement.scrollWidth <= {width}")


@pytest.mark.usefixtures("platform")
def test_only_web_addresses_become_links(page: Page) -> None:
    run_state.write_json(run_state.spark_file("houses"), {"ui": "http://127.0.0.1:4040"})
    page.goto("/health-ui")
    expect(page.locator("#health-processes .links a")).to_have_attribute("href", "http://127.0.0.1:4040")
