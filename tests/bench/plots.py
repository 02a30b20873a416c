"""Curves as pictures, drawn by plotly and photographed in a browser."""

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from playwright.sync_api import sync_playwright

from tests.browser import launch

SIZE = {"width": 640, "height": 380}


def curves(x_title: str, y_title: str, lines: Mapping[str, Mapping[int, float]]) -> go.Figure:
    """Both axes logarithmic, a line for each name: what grows with the size is straight and steep, what does not is
    flat.
    """
    figure = go.Figure()
    for name, points in lines.items():
        figure.add_scatter(x=list(points), y=list(points.values()), name=name, mode="lines+markers")
    figure.update_layout(template="plotly_white", margin={"l": 70, "r": 20, "t": 20, "b": 55}, **SIZE)
    figure.update_xaxes(type="log", title=x_title, dtick=1)
    figure.update_yaxes(type="log", title=y_title)
    return figure


def keep(figures: Mapping[str, go.Figure], folder: Path) -> None:
    """Each figure as <name>.png in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as browsers:
        browser = launch(browsers)
        page = browser.new_page(viewport=SIZE, device_scale_factor=1.5)  # type: ignore[arg-type]
        for name, figure in figures.items():
            page.set_content(figure.to_html(include_plotlyjs=True, config={"staticPlot": True}))
            page.wait_for_selector(".main-svg")
            page.screenshot(path=folder / f"{name}.png")
        browser.close()
