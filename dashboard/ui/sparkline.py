"""A small line of recent values as SVG."""

from collections.abc import Sequence
from urllib.parse import quote

from dash import html
from dash.development.base_component import Component

from dashboard.ui import formats, tiles

WIDTH, HEIGHT = 100, 22


def sparkline(values: Sequence[float | None], label: str, points: int = 60) -> Component:
    """A line without axes, drawn as a mask so that it takes the colour of the text; gaps stay gaps."""
    thin = _thin(values, points)
    known = [value for value in thin if value is not None]
    if len(known) < 2:
        return html.Span(formats.NOTHING, className="second")
    top = max(*known, 1.0)
    step = WIDTH / max(len(thin) - 1, 1)
    path, pen = "", "M"
    for place, value in enumerate(thin):
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{place * step:.1f} {HEIGHT - 2 - value / top * (HEIGHT - 4):.1f}"
        pen = "L"
    drawing = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' preserveAspectRatio='none'>"
        f"<path d='{path}' fill='none' stroke='black' stroke-width='1.6' stroke-linecap='round'/></svg>"
    )
    words = f"{label}: lowest {min(known):,.0f}, highest {max(known):,.0f}, now {known[-1]:,.0f}"
    mask = {"--sparkline": f'url("data:image/svg+xml,{quote(drawing)}")'}
    return html.Span(className="sparkline", style=mask, role="img", title=words, **tiles.attributes(aria_label=words))


def _thin(values: Sequence[float | None], points: int) -> list[float | None]:
    """At most `points` values, each the highest of its share."""
    share = max(1, -(-len(values) // points))
    parts = [values[start : start + share] for start in range(0, len(values), share)]
    return [max((value for value in part if value is not None), default=None) for part in parts]
