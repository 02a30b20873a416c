"""Figures: provisional rows marked, zoom kept, text from events shown as text."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboard.ui import charts


def drawn(draw: Any, *given: object) -> go.Figure:
    """The figure as Plotly takes it: it refuses what it does not know."""
    return go.Figure(draw(*given))


def bar_rows(**changed: object) -> pd.DataFrame:
    rows = {"label": ["1980s", "1990s"], "value": [400_000.0, 500_000.5], "count": [3, 1200], "is_final": [True, False]}
    rows |= {"band": [float("nan"), 20_000.0]}
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
    final, provisional, _bands, _counts = drawn(charts.bars, bar_rows(), "sales", "light", "r").data
    assert (list(final.x), final.marker.pattern.shape) == (["1980s"], "")
    assert (list(provisional.x), provisional.marker.pattern.shape) == (["1990s"], "/")
    assert provisional.name == "provisional: still filling"


def test_a_bar_carries_its_unrounded_value_its_band_and_above_both_its_count() -> None:
    _final, provisional, bands, counts = drawn(charts.bars, bar_rows(), "sales", "light", "r").data
    assert list(provisional.y) == [500_000.5]
    assert (list(bands.x), list(bands.y), list(bands.error_y.array)) == (["1990s"], [500_000.5], [20_000.0])
    assert (list(counts.text), list(counts.y)) == (["3", "1,200"], [400_000.0, 520_000.5])


def test_markup_in_a_label_stays_text() -> None:
    figure = drawn(charts.bars, bar_rows(label=["<b>x</b>", "1990s"]), "sales", "light", "r")
    assert figure.data[0].x[0] == "&lt;b&gt;x&lt;/b&gt;"


def test_points_are_hollow_while_provisional_and_diamonds_when_from_batch() -> None:
    first = drawn(charts.lines, line_rows(), [1980, 1990], "light", "r").data[0]
    assert list(first.marker.symbol) == ["diamond", "circle"]
    assert list(first.marker.color) == [first.line.color, "#ffffff"]


def test_a_decade_keeps_its_colour_when_another_one_is_left_out() -> None:
    rows = line_rows()
    both = drawn(charts.lines, rows, [1980, 1990], "dark", "r").data
    alone = drawn(charts.lines, rows[rows["group"] == 1990], [1980, 1990], "dark", "r").data
    assert alone[0].line.color == both[1].line.color != both[0].line.color


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_follow_the_theme_and_keep_the_zoom(scheme: str) -> None:
    for figure in (
        drawn(charts.bars, bar_rows(), "sales", scheme, "r"),
        drawn(charts.lines, line_rows(), [1980, 1990], scheme, "r"),
    ):
        assert figure.layout.uirevision == "r"
        assert figure.layout.font.color == charts.INK[scheme][0]


def test_small_charts_are_one_a_group_with_axes_that_match() -> None:
    figure = drawn(charts.multiples, line_rows(), [1980, 1990], "dark", "r")
    assert [(trace.xaxis, trace.yaxis) for trace in figure.data] == [("x", "y"), ("x2", "y2")]
    assert [title.text for title in figure.layout.annotations] == ["1980s", "1990s"]
    assert figure.layout.xaxis2.matches == "x"
    assert (figure.layout.uirevision, figure.layout.showlegend) == ("r", False)


def test_times_are_written_in_utc_with_their_zone() -> None:
    at = pd.Series(pd.to_datetime(["2026-05-01 12:00"], utc=True)).dt.tz_convert("America/New_York")
    assert charts.iso(at) == ["2026-05-01T12:00:00+00:00"]
