"""Text of events in a real browser: whatever it looks like, it is shown as text, runs nothing and asks nobody."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from jobs.houses import schema

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
        page.goto(f"/house/{quote(text, safe='')}")
        expect(page.locator("h1")).to_have_text(f"House {text}"[:86])
        expect(page.locator("#house-sales")).to_have_attribute("data-state", "ready")
        unharmed()
        page.goto(f"/price?id={quote(text, safe='')}&{quote(text, safe='')}=1")
        expect(page.locator("h1")).to_be_visible()
        unharmed()
