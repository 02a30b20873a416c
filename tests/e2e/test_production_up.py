"""`lake up production` as a plant engineer starts it: PostgreSQL by psql, the board, stop, reset."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser

from jobs.production.plant import LINE
from lakehouse.core.net import free_port
from tests.browser import without_zone
from tests.e2e.running import Platform, keep_screenshot, lake_up, rows_of, running, wait_for
from tests.postgres import running_postgres

pytestmark = pytest.mark.e2e
QUERY = "SELECT day, zone_id, units, defective_units FROM production.totals ORDER BY day, zone_id"
ZONES = "rows => rows.map(row => [row.dataset.zone, row.querySelector('[data-field=units]').dataset.value])"


def hostile(folder: Path) -> dict[str, str]:
    """What a shell has set for other programs; each of these once kept something of ours from starting."""
    for name in ("typer", "pyspark", "dash", "psycopg"):
        (folder / f"{name}.py").write_text("raise SystemExit('another program')")
    (folder / "bashrc").write_text("echo another program\nset -u\n")
    name, value = "<name>fs.defaultFS</name>", "<value>hdfs://nowhere:9000</value>"
    (folder / "core-site.xml").write_text(f"<configuration><property>{name}{value}</property></configuration>")
    unusable = dict.fromkeys(_PLACES.split(), "/nonexistent")
    unusable |= dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    unusable |= dict.fromkeys(("PYTHONPATH", "HADOOP_CONF_DIR"), str(folder))
    return {**unusable, **_WORDS, "BASH_ENV": str(folder / "bashrc"), "LC_ALL": "", "LANG": "", "LC_CTYPE": ""}


_PLACES = """SPARK_HOME SPARK_CONF_DIR SPARK_LOCAL_DIRS PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON LOG4J_CONFIGURATION_FILE
    CLASSPATH PYTHONHOME PYTHONSTARTUP PGDATA PGSERVICEFILE PGPASSFILE VIRTUAL_ENV CONDA_PREFIX CDPATH"""
_WORDS = {
    "PYSPARK_SUBMIT_ARGS": "--no-such-flag",
    "PYSPARK_GATEWAY_PORT": "9",
    "PYTHONWARNINGS": "error",
    "_JAVA_OPTIONS": "-Xmx8m",
    "JDK_JAVA_OPTIONS": "--no-such-flag",
    "KAFKA_OPTS": "--no-such-flag",
    "PGHOSTADDR": "127.0.0.2",
    "PGPASSWORD": "wrong",
    "PGSERVICE": "none",
    "PGSSLMODE": "require",
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "German",
    "DASH_URL_BASE_PATHNAME": "/elsewhere/",
    "FLASK_DEBUG": "1",
    "POSIXLY_CORRECT": "1",
}


def psql(platform: Platform) -> list[list[str]]:
    """Day, zone, units and defective units, as psql shows them."""
    return [row.split("|") for row in platform.lake_output("psql", "-At", "-c", QUERY).split()]


def of_the_line(rows: list[list[str]]) -> int:
    """Units that have left the line, also when it was built over the start of a production day."""
    return sum(int(units) for _, zone, units, _ in rows if zone == LINE)


def test_the_line_from_lake_up_to_reset(tmp_path: Path, browser: Browser) -> None:
    """Under a path, in a shell and with files of the user that are as hostile as they come, and without a locale."""
    var = tmp_path / "Lagoš é's" / 'a "ß" 50%'
    ours = {"LAKE_POSTGRES_PORT": str(free_port()), **hostile(tmp_path)}
    with lake_up(var, "production", "--no-produce", **ours) as platform:
        platform.domain = "production"
        platform.env["LAKE_BOOTSTRAP_SERVERS"] = platform.bootstrap_servers
        platform.run("produce.py", "--units", "40", "--rate", "0", "--seed", "3", "--no-pattern")
        wait_for(lambda: of_the_line(psql(platform)) == 40, 60, "all units in PostgreSQL")
        wait_for(lambda: psql(platform) == delta(platform), 30, "the same in Delta")
        check_board(platform, browser)
        for file in (var / "postgres/credentials").iterdir():
            assert file.stat().st_mode & 0o077 == 0
    platform.lake_output("reset", "production", "--yes")
    assert not (var / "lake/production").exists()
    with running_postgres(var / "postgres") as dsn, psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT to_regnamespace('production')").fetchone() == (None,)


def delta(platform: Platform) -> list[list[str]]:
    rows = sorted(rows_of(platform, "totals"), key=lambda row: (row["day"], row["zone_id"]))
    return [[str(row[name]) for name in ("day", "zone_id", "units", "defective_units")] for row in rows]


def check_board(platform: Platform, browser: Browser) -> None:
    """The board's numbers are those of PostgreSQL, in a page that says nothing on its console."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    errors: list[Any] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(f"{running(platform)['dashboard_url']}/production")
    page.wait_for_selector("#production-zones-table tr[data-zone]", timeout=30_000)
    shown = dict(page.eval_on_selector_all("#production-zones-table tr[data-zone]", ZONES))
    rows = psql(platform)
    today = {zone: units for day, zone, units, _ in rows if day == rows[-1][0]}
    built = page.locator("#production-kpi-units-value [data-value]").get_attribute("data-value")
    assert built == today.pop(LINE)
    assert shown == today
    assert without_zone(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.wait_for_timeout(2500)
    keep_screenshot(page, "e2e-production")
    page.goto(f"{running(platform)['dashboard_url']}/production/zone/PAINT")
    page.wait_for_selector("#zone-days-table tr[data-day]", timeout=30_000)
    assert errors == []
    page.close()
