"""What the page makes of served rows."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from dashboard.pages.example import live

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ROWS = [
    (0, "thing-1", 2, 7, True),
    (60, "thing-1", 1, 5, False),
    (60, "thing-2", 3, 9, False),
    (-7200, "old", 1, 1, True),
]
SERVED = pd.DataFrame(
    [(pd.Timestamp(NOON + timedelta(seconds=at)), *rest) for at, *rest in ROWS],
    columns=["window_start", "id", "events", "sum_quantity", "is_final"],
)


def test_the_range_counts_back_from_the_newest_window() -> None:
    assert set(live.within(SERVED, "1h")["id"]) == {"thing-1", "thing-2"}
    assert "old" in set(live.within(SERVED, "6h")["id"])


def test_the_figure_adds_up_the_ids_of_a_window() -> None:
    [line] = live.lines(live.within(SERVED, "1h"), "light")["data"]
    assert line["y"] == [7, 14]


def test_the_table_has_the_newest_windows_first() -> None:
    text = str(live.table(SERVED))
    assert text.index("12:01") < text.index("12:00")
    assert text.index("provisional") < text.index("final")
