"""How good the price model is: trained on the initial history alone, over seeds of the split."""

import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from jobs.houses.price_model import evaluation, export, house_columns
from jobs.houses.price_model.house_columns import Floats, Houses
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT, settings

PLAIN = ("bedrooms", "bathrooms", "sqft_living", "sqft_lot", "floors", "waterfront", "view", "yr_built")
PLOT = ROOT / "docs/price-model.png"


def quality(seeds: int) -> list[dict[str, float]]:
    """Metrics of a fresh training for each seed: the model's, and those of the eight plain columns on the same rows."""
    found = []
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory(prefix="lake-bench-") as folder:
            os.environ["LAKE_VAR"] = f"{folder}/var"
            settings.cache_clear()
            _job("build_datasets.py", "--load", "--seed", str(seed))
            _job("train.py")
            manifest = Registry(PRICE_MODEL).manifest("v0001")
            plain = plain_columns(Path(folder) / "var/data/houses/initial.parquet")
            found.append({**manifest.metrics, **plain, "seconds": manifest.seconds, **manifest.details["interval"]})
            if seed == seeds:
                plot(Registry(PRICE_MODEL), Path(folder) / "var/data/houses/initial.parquet")
    del os.environ["LAKE_VAR"]
    settings.cache_clear()
    return found


def _job(script: str, *options: str) -> None:
    command = [str(ROOT / "spark-submit.sh"), f"jobs/houses/{script}", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _houses(path: Path) -> Houses:
    rows = pq.read_table(path)
    plain = {name: rows[name].to_numpy().astype(float) for name in PLAIN}
    facts = {name: plain.get(name, np.full(rows.num_rows, np.nan)) for name in house_columns.FACTS}
    return Houses(np.array(rows["id"].to_pylist()), facts, rows["price"].to_numpy().astype(float))


def plain_columns(path: Path) -> dict[str, float]:
    """R2 and MAPE of least squares on eight columns as they are, on the hold-out of the same sales."""
    houses = _houses(path)
    is_hold_out = np.array([house_columns.is_hold_out(str(house)) for house in houses.ids])
    columns = np.column_stack([np.ones(len(houses)), *(houses.facts[name] for name in PLAIN)])
    found, *_ = np.linalg.lstsq(columns[~is_hold_out], houses.prices[~is_hold_out], rcond=None)

    class Linear:
        def prices(self, _houses: Houses) -> Floats:
            predicted: Floats = np.maximum(columns[is_hold_out] @ found, 1.0)
            return predicted

    fit: Any = Linear()
    metrics, _ = evaluation.metrics(fit, houses.take(is_hold_out), np.ones(int(is_hold_out.sum())))
    return {"plain_r2": metrics["r2"], "plain_mape": metrics["mape"]}


def plot(registry: Registry, path: Path) -> None:
    """Predicted against actual price of the hold-out houses, as a picture for the README."""
    import plotly.graph_objects as go
    from playwright.sync_api import sync_playwright

    from tests.browser import launch

    folder = registry.path("v0001")
    known = export.load_houses((folder / export.HOUSES).read_bytes())
    judged = export.from_json((folder / export.JUDGED).read_text(), known.judged())
    sold = known.sold.take(np.isin(known.sold.ids, _houses(path).ids))
    hold_out = sold.take(np.array([house_columns.is_hold_out(str(house)) for house in sold.ids]))
    ends = [50_000, 8_000_000]
    figure = go.Figure(
        [
            go.Scatter(x=ends, y=ends, mode="lines", line={"color": "#888", "width": 1}),
            go.Scatter(
                x=hold_out.prices,
                y=judged.prices(hold_out),
                mode="markers",
                marker={"size": 4, "opacity": 0.4, "color": "#0072B2"},
            ),
        ],
        {
            "showlegend": False,
            "template": "plotly_white",
            "width": 720,
            "height": 560,
            "title": f"{len(hold_out):,} houses the fit has not seen",
            "xaxis": {"type": "log", "title": "sold for, dollars"},
            "yaxis": {"type": "log", "title": "predicted, dollars"},
        },
    )
    page_file = folder.parent / "plot.html"
    figure.write_html(page_file, include_plotlyjs=True, config={"staticPlot": True})
    with sync_playwright() as playwright:
        page = launch(playwright).new_page(viewport={"width": 740, "height": 580})
        page.goto(page_file.as_uri())
        page.wait_for_selector(".scatterlayer .point")
        page.screenshot(path=PLOT)


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    """The median of each measure."""
    return {name: statistics.median(row[name] for row in found) for name in found[0]}
