"""Figures: provisional rows marked, zoom kept, text from events shown as text."""

import pandas as pd
import pytest

from dashboard import charts


def bar_rows(**changed: object) -> pd.DataFrame:
    rows = {"label": ["1980s", "1990s"], "value": [400_000.0, 500_000.5], "count": [3, 1200], "is_final": [True, False]}
    return pd.DataFrame(rows | changed)


def line_rows() -> pd.DataFrame:
    at = pd.to_datetime(["2026-05-01 12:00", "2026-05-01 12:02"] * 2, utc=True)
    return pd.DataFrame(
        {
            "at": at,
            "value": [1.0, 2.0, 3.0, 4.0],
            "count": [1, 2, 3, 4],
            "group": [1980, 1980, 1990, 1990],
            "is_final": [True, False, True, True],
            "layer": ["batch", "speed", "batch", "speed"],
        }
    )


def test_provisional_bars_are_hatched_and_named() -> None:
    final, provisional = charts.bars(bar_rows(), "sales", "light", "r").data
    assert (list(final.x), final.marker.pattern.shape) == (["1980s"], "")
    assert (list(provisional.x), provisional.marker.pattern.shape) == (["1990s"], "/")
    assert provisional.name == "provisional: still filling"


def test_a_bar_carries_its_count_and_its_unrounded_value() -> None:
    _final, provisional = charts.bars(bar_rows(), "sales", "light", "r").data
    assert (list(provisional.text), list(provisional.y)) == (["1,200"], [500_000.5])


def test_markup_in_a_label_stays_text() -> None:
    figure = charts.bars(bar_rows(label=["<b>x</b>", "1990s"]), "sales", "light", "r")
    assert figure.data[0].x[0] == "&lt;b&gt;x&lt;/b&gt;"


def test_points_are_hollow_while_provisional_and_diamonds_when_from_batch() -> None:
    first = charts.lines(line_rows(), [1980, 1990], "light", "r").data[0]
    assert list(first.marker.symbol) == ["diamond", "circle"]
    assert list(first.marker.color) == [first.line.color, "#ffffff"]


def test_a_decade_keeps_its_colour_when_another_one_is_left_out() -> None:
    rows = line_rows()
    both = charts.lines(rows, [1980, 1990], "dark", "r").data
    alone = charts.lines(rows[rows["group"] == 1990], [1980, 1990], "dark", "r").data
    assert alone[0].line.color == both[1].line.color != both[0].line.color


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_theme_and_keep_the_zoom(scheme: str) -> None:
    for figure in (charts.bars(bar_rows(), "sales", scheme, "r"), charts.lines(line_rows(), [1980, 1990], scheme, "r")):
        assert figure.layout.uirevision == "r"
        assert figure.layout.font.color == charts.INK[scheme][0]
