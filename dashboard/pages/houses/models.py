"""How the versions of the house price model are shown on the Models page."""

import functools
import json
from typing import Any

import pandas as pd
from dash import no_update
from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView
from dashboard.pages.houses import models_view
from dashboard.ui import model_charts

ABOUT = "House prices: every version that was trained, and what became of it."
TREND = "On houses that the version never saw. Hollow points were refused; a diamond is the error on real sales since."
LIVE_ERROR = (
    "Houses priced while for sale and sold since on the stream: the price that was predicted against the one paid."
)
VERSIONS = "A new version goes live unless it is clearly worse than the live one on the same houses."


def kpis(view: DomainView) -> list[Component]:
    """The live version in numbers."""
    return models_view.kpis(models_view.models(view), models_view.live_error(view))


def trend(view: DomainView, scheme: str | None) -> tuple[Any, ...]:
    """Figure, table and state of the metrics over the versions."""
    found = models_view.models(view)
    rows = models_view.version_frame(found, models_view.live_error(view))
    figure = _drawn(tuple(rows.itertuples(index=False, name=None)), scheme) if scheme and len(rows) else no_update
    return figure, models_view.trend_table(rows), *models_view.models_state(found)


@functools.lru_cache(maxsize=4)
def _drawn(rows: tuple[tuple[Any, ...], ...], scheme: str) -> Any:
    """The figure of these versions, drawn once: they change once a night."""
    frame = pd.DataFrame(rows, columns=models_view.VERSION_COLUMNS).astype(object)
    return json.loads(model_charts.versions(frame, scheme, "models-trend").to_json())


def versions(view: DomainView) -> tuple[Any, ...]:
    """The versions, the switches between them, and the state of both."""
    found = models_view.models(view)
    return models_view.version_table(found), models_view.switch_table(found), *models_view.models_state(found)


def live_error(view: DomainView) -> tuple[Any, ...]:
    """The error per version on houses sold since they were priced, the newest of these, and the state of both."""
    found, errors = models_view.models(view), models_view.live_error(view)
    state = models_view.live_error_state(found, errors)
    if errors is None:
        return no_update, no_update, *state
    return models_view.live_error_table(errors, found.live), models_view.newest_table(errors.newest), *state
