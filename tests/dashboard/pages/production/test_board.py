"""What the board of the production line makes of rows: control limits, Pareto, which layer is served."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from dashboard.pages.production import board_charts, board_view, source
from dashboard.ui import charts
from jobs.production.plant import read_plant
from jobs.production.schema import TOTAL_COLUMNS
from lakehouse.settings import ROOT, settings

HOUR = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = date(2026, 11, 22)


@pytest.fixture
def plant_file(tmp_path: Path, lake: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes words in the plant's file of this test."""
    file = tmp_path / "production.toml"
    file.write_text((ROOT / "conf/production.toml").read_text())
    monkeypatch.setenv("LAKE_DOMAIN_CONF", str(tmp_path))
    settings.cache_clear()

    def change(**words: str) -> None:
        for old, new in words.items():
            file.write_text(file.read_text().replace(f'"{old}"', f'"{new}"'))
        read_plant.cache_clear()

    change()
    return change


def hours(*cells: tuple[int, int]) -> pd.DataFrame:
    """Hours with so many units and defective units."""
    rows = [(HOUR + timedelta(hours=number), *cell) for number, cell in enumerate(cells)]
    return pd.DataFrame(rows, columns=["hour_start", "units", "defective_units"])


def total(zone: str = "BODY", day: date = DAY, units: int = 10, **changes: Any) -> dict[str, Any]:
    return {**dict.fromkeys(TOTAL_COLUMNS, 0), "day": day, "zone_id": zone, "units": units, **changes}


def test_control_limits_are_three_sigma_of_a_binomial_share_and_wider_for_few_units() -> None:
    chart = board_view.p_chart(hours((100, 10), (100, 10), (100, 30), (25, 1)))
    mean = 51 / 325
    sigma = (mean * (1 - mean) / 100) ** 0.5
    assert chart["mean"].tolist() == pytest.approx([100 * (1 - mean)] * 4)
    assert chart["low"][0] == pytest.approx(100 * (1 - mean - 3 * sigma))
    assert chart["high"][3] == pytest.approx(100 * (1 - max(mean - 6 * sigma, 0)))
    assert chart["throughput"].tolist() == pytest.approx([90, 90, 70, 96])
    assert chart["outside"].tolist() == [False, False, True, False]


def test_without_any_defect_nothing_is_out_of_control() -> None:
    assert not board_view.p_chart(hours((5, 0), (7, 0)))["outside"].any()
    assert board_view.p_chart(hours()).empty


def test_the_speed_row_is_served_the_batch_row_where_there_is_none_and_no_row_of_zeros() -> None:
    before = DAY - timedelta(days=1)
    speed = pd.DataFrame([total(units=10), total("PAINT", units=0)])
    batch = pd.DataFrame([total(units=9), total(day=before, units=7), total("PAINT", units=4)])
    rows = source.serve(speed, batch, ("day", "zone_id"))
    assert rows[["day", "zone_id", "units", "layer", "is_final"]].to_dict("records") == [
        {"day": before, "zone_id": "BODY", "units": 7, "layer": "batch", "is_final": True},
        {"day": DAY, "zone_id": "BODY", "units": 10, "layer": "speed", "is_final": False},
    ]


def test_text_that_came_from_events_is_escaped() -> None:
    rows = pd.DataFrame({"concern_id": ["<b>gap"], "defects": [2], "share": [1.0]})
    figure = board_charts.pareto(rows, "light")
    assert figure["data"][0]["x"] == ["&lt;b&gt;gap"]
    assert figure["layout"]["xaxis"]["categoryarray"] == ["&lt;b&gt;gap"]


def test_one_hour_alone_has_limits_over_all_of_it_and_its_point_in_its_middle() -> None:
    *limits, point = board_charts.throughput(board_view.p_chart(hours((100, 10))), "light", "")["data"]
    assert point["x"] == charts.iso(pd.Series([HOUR + timedelta(minutes=30)]))
    assert [line["x"] for line in limits] == [charts.iso(pd.Series([HOUR, HOUR + timedelta(hours=1)]))] * 3
    assert [line["y"] for line in limits] == [[90, 90], [81, 81], [99, 99]]


def test_long_names_are_cut_under_their_bars_and_stay_apart() -> None:
    names = ["raya puerta izquierda ñ, lado A", "raya puerta izquierda ñ, lado B", "17"]
    axis = board_charts.pareto(pd.DataFrame({"concern_id": names, "defects": 1, "share": 1.0}), "light")["layout"]
    assert axis["xaxis"]["tickvals"] == axis["xaxis"]["categoryarray"] == names
    assert axis["xaxis"]["ticktext"] == ["raya puerta izquierda ñ…", "raya puerta izquierda ñ…", "17"]


def test_an_hour_is_shown_in_utc_and_on_the_plants_clock(plant_file: Callable[..., None]) -> None:
    rows = board_view.p_chart(hours((100, 10)))
    shown_hour = lambda: board_charts.throughput(rows, "light", "")["data"][-1]["customdata"][0][0]  # noqa: E731
    assert shown_hour() == "Nov 22 12:00 UTC"
    plant_file(UTC="Asia/Kolkata")
    assert shown_hour() == "Nov 22 12:00 UTC, Nov 22 17:30 in Asia/Kolkata"


def test_zones_are_in_the_order_of_the_plant_and_a_closed_one_comes_last(
    plant_file: Callable[..., None],
) -> None:
    frame = pd.DataFrame([total(zone) for zone in ("ROOF", "BODY", "line", "PAINT")])
    view = SimpleNamespace(served=source.serve(frame, frame.head(0), ("day", "zone_id")))
    assert board_view.zones_today(view)["zone_id"].tolist() == ["BODY", "PAINT", "ROOF"]  # type: ignore[arg-type]


def test_a_file_that_describes_no_plant_is_named_on_the_page(plant_file: Callable[..., None]) -> None:
    from dashboard.pages.production import board as page

    plant_file(UTC="Mars/Olympus")
    assert "time_zone: must be the name of a time zone" in str(page.layout())
    plant_file(**{"Mars/Olympus": "UTC"})
    assert "a production day begins at 06:00 UTC" in str(page.layout())


@pytest.mark.parametrize(("most", "step"), [(2, 1), (60, None)])
def test_few_defects_are_counted_in_whole_ones(most: int, step: int | None) -> None:
    rows = pd.DataFrame({"concern_id": ["gap"], "defects": [most], "share": [1.0]})
    assert board_charts.pareto(rows, "light")["layout"]["yaxis"].get("dtick") == step
