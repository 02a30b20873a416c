"""Text of events in a real browser: whatever it looks like, it is shown as text, runs nothing and asks nobody."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from jobs.houses import schema
from jobs.production import schema as line

pytestmark = pytest.mark.e2e
HOSTILE = [
    "<img src=x onerror=window.harm=1>",
    "<svg onload=window.harm=1>",
    "</script><script>window.harm=1</script>",
    "\"'><iframe src=https://canary.example onload=window.harm=1>",
    "<a href='https://canary.example/' style='position:fixed;inset:0'>click</a>",
    "javascript:window.harm=1",
    "${window.harm=1}{{constructor.constructor('window.harm=1')()}}",
    "<style>@import 'https://canary.example/x.css'</style>",
    "=HYPERLINK(\"https://canary.example\")",
    "[x](javascript:window.harm=1) ![x](https://canary.example/x.png)",
]  # fmt: skip
FOREIGN = "[...document.querySelectorAll('iframe, object, embed, a[href^=\"https:\"], a[href^=javascript]')].length"


@pytest.mark.usefixtures("page")
def test_text_of_events_is_never_markup(
    page: Page, write: Callable[..., None], sale: Callable[..., dict[str, Any]], publish: Callable[..., str]
) -> None:
    """As ids in feed and house page, as reasons and bytes of dead letters, in addresses; `page` fails on a request."""
    publish()
    alerts: list[str] = []
    page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    dead = {"topic": "houses", "partition": 0, "recorded_at": sale(1)["recorded_at"]}
    write(schema.HISTORY, *[sale(number, id=text, event_id=text) for number, text in enumerate(HOSTILE)])
    write(
        schema.DEAD_LETTERS,
        *[dead | {"offset": 100 + at, "reason": text, "key": text.encode(), "value": text.encode()}
          for at, text in enumerate(HOSTILE)],
    )  # fmt: skip

    def unharmed() -> None:
        assert page.evaluate("window.harm") is None
        assert page.evaluate(FOREIGN) == 0
        assert alerts == []

    page.goto("/houses")
    for at, text in enumerate(reversed(HOSTILE)):
        expect(page.locator(f"#houses-feed-grid .ag-row[row-index='{at}'] [col-id='id']")).to_have_text(text)
    unharmed()
    page.goto("/")
    expect(page.locator("#overview-houses-dead-letters")).to_contain_text("1 × ")
    unharmed()
    page.goto("/health-ui")
    expect(page.locator("#health-dead-letters")).to_have_attribute("data-state", "ready")
    unharmed()
    for text in HOSTILE[:5]:
        page.goto(f"/houses/house/{quote(text, safe='')}")
        expect(page.locator("h1")).to_have_text(f"House {text}"[:86])
        expect(page.locator("#house-sales")).to_have_attribute("data-state", "ready")
        unharmed()
        page.goto(f"/houses/price?id={quote(text, safe='')}&{quote(text, safe='')}=1")
        expect(page.locator("h1")).to_be_visible()
        unharmed()


ADDRESSES = [HOSTILE[3], "Nº 2 #3/a?b=%41&c [LH] ñ;,+", "100%"]
NAMES = [*HOSTILE, *ADDRESSES[1:], "%2e%2e", "a\\b", " left ", "17", "\U0001f697" * 128]


def test_zones_and_concerns_of_any_name_are_shown_as_they_are_and_each_zone_has_its_page(
    page: Page, write: Callable[..., None]
) -> None:
    """`page` fails on a request to elsewhere and on a line in the console."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    counts = {"units": 4, "defects_found": 2, "defects_charged": 2, "defective_units": 1, "newest_at": at}
    same = {"day": at.date(), "generation": "g", "batch_id": 0, "updated_at": at}
    zones = [*NAMES, line.LINE]
    write(line.TOTALS, *[counts | same | {"zone_id": zone, "throughput": Decimal(75)} for zone in zones])
    write(line.HOURS, *[counts | same | {"zone_id": zone, "hour_start": at} for zone in zones])
    write(
        line.CONCERNS,
        *[
            same | {"zone_id": zone, "hour_start": at, "concern_id": text, "defects": 1}
            for zone in zones
            for text in NAMES
        ],
    )
    page.goto("/production")
    expect(page.locator("#production-zones-table tr[data-zone]")).to_have_count(len(NAMES))
    shown = "rows => rows.map(row => [row.dataset.zone, row.querySelector('a').textContent])"
    found = page.eval_on_selector_all("#production-zones-table tr[data-zone]", shown)
    assert sorted(found) == sorted([name, name] for name in NAMES)
    for name in ADDRESSES:
        page.locator("#production-zones-table tr[data-zone] a").nth([*dict(found)].index(name)).click()
        expect(page.locator("h1")).to_have_text(f"Zone {name}")
        expect(page.locator("#zone-days-table tr[data-day]")).to_have_count(1)
        assert page.evaluate("window.harm") is None
        assert page.evaluate(FOREIGN) == 0
        page.get_by_text("The whole line").click()
        expect(page.locator("#production-zones-table tr[data-zone]")).to_have_count(len(NAMES))
