"""`lake up production` as a plant engineer starts it: PostgreSQL by psql, the board, stop, reset."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from lakehouse.broker import free_port
from tests.e2e.running import Platform, keep_screenshot, lake_up, rows_of, running, wait_for

pytestmark = pytest.mark.e2e
QUERY = "SELECT zone_id, units, defective_units FROM production.totals ORDER BY day, zone_id"
ZONES = "rows => rows.map(row => [row.dataset.zone, row.querySelector('[data-field=units]').dataset.value])"


def lake(platform: Platform, *arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "lake"), *arguments]
    done = subprocess.run(command, env=platform.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def psql(platform: Platform) -> list[str]:
    return lake(platform, "psql", "-At", "-c", QUERY).split()


def test_the_line_from_lake_up_to_reset(tmp_path: Path, browser: Browser) -> None:
    var = tmp_path / "var"
    with lake_up(var, "production", "--no-produce", LAKE_POSTGRES_PORT=str(free_port())) as platform:
        platform.domain = "production"
        platform.env["LAKE_BOOTSTRAP_SERVERS"] = platform.bootstrap_servers
        platform.run("produce.py", "--units", "40", "--rate", "0", "--seed", "3", "--no-pattern")
        line = lambda: [row for row in psql(platform) if row.startswith("line|40|")]  # noqa: E731
        wait_for(line, 60, "all units in PostgreSQL")
        wait_for(lambda: psql(platform) == delta(platform), 30, "the same in Delta")
        check_board(platform, browser)
        for file in (var / "postgres/credentials").iterdir():
            assert file.stat().st_mode & 0o077 == 0
    lake(platform, "reset", "production", "--yes")
    assert not (var / "lake/production").exists()


def delta(platform: Platform) -> list[str]:
    rows = sorted(rows_of(platform, "totals"), key=lambda row: (row["day"], row["zone_id"]))
    return [f"{row['zone_id']}|{row['units']}|{row['defective_units']}" for row in rows]


def check_board(platform: Platform, browser: Browser) -> None:
    """The board's numbers are those of PostgreSQL, in a page that says nothing on its console."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    said: list[Any] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(f"{running(platform)['dashboard_url']}/production")
    page.wait_for_selector("#production-zones-table tr[data-zone]", timeout=30_000)
    shown = dict(page.eval_on_selector_all("#production-zones-table tr[data-zone]", ZONES))
    assert shown == {row.split("|")[0]: row.split("|")[1] for row in psql(platform) if not row.startswith("line")}
    assert page.locator("#production-kpi-units-value [data-value]").get_attribute("data-value") == "40"
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.wait_for_timeout(2500)
    keep_screenshot(page, "e2e-production")
    page.goto(f"{running(platform)['dashboard_url']}/production/zone/PAINT")
    page.wait_for_selector("#zone-days-table tr[data-day]", timeout=30_000)
    assert said == []
    page.close()
