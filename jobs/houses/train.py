"""Train the price model on all sales, evaluate it on hold-out houses, and publish it if it is good enough."""

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import typer
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from jobs.houses.price_model import catalogue, evaluation, export, house_columns, pipeline
from jobs.houses.price_model.details import HouseCounts, Interval, PriceDetails, details_of
from jobs.houses.price_model.export import EXPORT, JUDGED, SPARK, Fit, KnownHouses
from jobs.houses.price_model.house_columns import FACTS, FEWEST_HOLD_OUT, Floats, Houses
from jobs.houses.schema import DOMAIN, FEWEST_SALES, HISTORY, PRICE_MODEL, PRICES
from lakehouse import entry
from lakehouse.core.locks import exclusive
from lakehouse.errors import DataError
from lakehouse.models.gate import LiveMetrics
from lakehouse.models.manifests import Manifest
from lakehouse.models.publishing import Candidate, publish
from lakehouse.models.registry import Registry
from lakehouse.settings import settings
from lakehouse.spark.session import spark_session
from lakehouse.streaming import layers
from lakehouse.tables import table_io

EXACT = 1e-6  # relative: how far Spark's price and the export's may be apart


class TooFewError(DataError):
    """Too few sales to train and evaluate a model."""


def check_sales(rows: pa.Table) -> None:
    """Refuse sales that give no sound model. Raises DataError; the live model stays."""
    prices = rows["price"].to_numpy()
    hold_out = sum(house_columns.is_hold_out(house) for house in rows["id"].to_pylist())
    stays = "A live model stays; train again when there are more sales."
    if rows.num_rows < FEWEST_SALES or hold_out < FEWEST_HOLD_OUT:
        raise TooFewError(
            f"Too few sales to train on: {rows.num_rows} different ones, {hold_out} of them of hold-out houses; "
            f"training needs {FEWEST_SALES} and {FEWEST_HOLD_OUT}.",
            stays,
        )
    if not np.isfinite(prices).all() or prices.min() <= 0:
        raise DataError("A price in the history is not a positive number.", "The live model stays; repair the history.")
    if np.ptp(prices) == 0:
        raise DataError(f"All sales have the same price, {prices[0]:,.2f}: there is nothing to learn.", stays)


def check_stored_sales() -> None:
    """Refuse too few sales, duplicates included, before Spark is started. Raises TooFewError."""
    rows = table_io.read(HISTORY, ["id", "price"])
    if rows.num_rows < FEWEST_SALES:
        check_sales(rows)


def judged_metrics(fit: Fit, rows: pa.Table) -> tuple[evaluation.Metrics, dict[str, float]]:
    """Errors and interval of a fit on the sales of hold-out houses among training rows."""
    houses, sales = hold_out_rows(rows)
    return evaluation.metrics(fit, houses, sales)


def hold_out_rows(rows: pa.Table) -> tuple[Houses, Floats]:
    """The sales of hold-out houses, and how many of each there were."""
    houses = catalogue.sold_houses(rows)
    mask = np.array([house_columns.is_hold_out(str(house)) for house in houses.ids], dtype=bool)
    return houses.take(mask), rows["sales"].to_numpy()[mask]


def live_metrics(registry: Registry, rows: pa.Table) -> LiveMetrics | None:
    """The errors of the live version's judged fit on the same sales; None when no version is live."""
    version = registry.live()
    if version is None:
        return None
    houses = export.load_houses(registry.content(version, export.HOUSES))
    fit = export.from_json(registry.content(version, JUDGED).decode(), houses.judged())
    return LiveMetrics(version, judged_metrics(fit, rows)[0])


def train(spark: SparkSession, registry: Registry) -> str:
    """Fit, evaluate, publish or refuse; returns the new version."""
    began = time.monotonic()
    delta_version = DeltaTable(HISTORY.path).version()
    history = table_io.read_version(spark, HISTORY, delta_version)
    sales, rows = training_rows(layers.distinct_events(history))
    check_sales(rows)
    houses = catalogue.known_houses(catalogue.sold_houses(rows))
    _, judged = pipeline.fit(sales.where(~pipeline.is_hold_out()), house_columns.fit_basis(houses.judged()))
    metrics, interval = judged_metrics(judged, rows)
    live = live_metrics(registry, rows)
    manifest = Manifest(
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        cut_off=_cut_off(houses),
        rows=_counts(rows),
        details=_details(rows, houses, interval, delta_version, live),
    )
    prices: list[pa.Table] = []

    def write(folder: Path) -> None:
        (folder / JUDGED).write_text(judged.as_json())
        houses.save(folder / export.HOUSES)

    def release(folder: Path) -> None:
        prices.append(release_fit(spark, sales, houses, folder))

    def record(version: str) -> None:
        record_prices(prices[0], version, interval)

    return publish(registry, Candidate(metrics, live, write, release, record, began), manifest)


def _details(
    rows: pa.Table, houses: KnownHouses, interval: dict[str, float], delta_version: int, live: LiveMetrics | None
) -> dict[str, Any]:
    """The domain's part of the manifest."""
    details = PriceDetails(
        Interval(**interval),
        delta_version,
        live={"version": live.version, **live.metrics} if live else None,
        features=[*FACTS],
        imputed={name: count for name in FACTS if (count := rows[name].null_count)},
        houses=HouseCounts(len(houses.houses), int(houses.for_sale.sum())),
    )
    return asdict(details)


def training_rows(distinct: DataFrame) -> tuple[DataFrame, pa.Table]:
    """The training rows as a cached DataFrame and as an Arrow table.

    When no sale has a listing day, the day of sale replaces it: otherwise no sale would be earlier than another.
    """
    sales = pipeline.sale_rows(distinct).persist()
    rows = sales.toArrow()
    if rows.num_rows and rows["listed_day"].null_count == rows.num_rows:
        sales.unpersist()
        sales = pipeline.sale_rows(distinct, "event_at").persist()
        rows = sales.toArrow()
    return sales, rows


def release_fit(spark: SparkSession, sales: DataFrame, houses: KnownHouses, folder: Path) -> pa.Table:
    """Fit on all sales, write pipeline and export, load both again, and prove that they agree.

    Returns id and price in dollars of every house for sale, as Spark scored them.
    """
    fitted, fit = pipeline.fit(sales, house_columns.fit_basis(houses.sold))
    (folder / EXPORT).write_text(fit.as_json())
    fitted.write().save(str(folder / SPARK))
    loaded = export.from_json((folder / EXPORT).read_text(), export.load_houses(_bytes(folder)).sold)
    offered = houses.houses.take(houses.for_sale) if houses.for_sale.any() else houses.sold.take(slice(0, 1000))
    scored = pipeline.score(spark, pipeline.load(folder / SPARK), loaded, offered)
    by_id = dict(zip(offered.ids.tolist(), loaded.prices(offered), strict=True))
    apart = max(abs(price / by_id[house] - 1) for house, price in zip(*scored.to_pydict().values(), strict=True))
    if scored.num_rows != len(offered) or not apart <= EXACT:
        raise DataError(
            f"Spark's prices and the export's differ by {apart:.1e} (at most {EXACT:.0e}) over {scored.num_rows} of "
            f"{len(offered)} houses.",
            "Nothing was published; this is a bug in jobs/houses/price_model/export.py or pipeline.py.",
        )
    return scored if houses.for_sale.any() else scored.slice(0, 0)


def _bytes(folder: Path) -> bytes:
    return (folder / export.HOUSES).read_bytes()


def record_prices(prices: pa.Table, version: str, interval: dict[str, float]) -> None:
    """Append the version's prices of the houses for sale, once."""
    now = datetime.now(UTC)
    rows = [
        {**row, "low": row["price"] * interval["low"], "high": row["price"] * interval["high"]}
        for row in prices.to_pylist()
    ]
    data = table_io.rows(PRICES, [{**row, "model_version": version, "predicted_at": now} for row in rows])
    table_io.append(table_io.create(PRICES), data, f"prices:{version}", int(version[1:]))


def _counts(rows: pa.Table) -> dict[str, int]:
    in_hold_out = [house_columns.is_hold_out(house) for house in rows["id"].to_pylist()]
    sales = rows["sales"].to_numpy()
    hold_out_sales = int(sales[np.array(in_hold_out)].sum())
    return {
        "sales": int(sales.sum()),
        "distinct": rows.num_rows,
        "training": int(sales.sum()) - hold_out_sales,
        "hold_out": hold_out_sales,
    }


def _cut_off(houses: KnownHouses) -> str | None:
    """The day of the newest listing; None when no listing has one."""
    days = houses.sold.facts["listed_day"]
    newest = np.nan if np.isnan(days).all() else np.nanmax(days)
    return None if np.isnan(newest) else str((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=float(newest))).date())


def main(
    if_none: Annotated[bool, typer.Option("--if-none", help="Only when there is no live model yet.")] = False,
) -> None:
    """Train, evaluate and publish the price model. Exits 0 also when the new model is refused as worse."""
    registry = Registry(PRICE_MODEL)
    if if_none and registry.live():
        return
    with exclusive(settings().run / f"{DOMAIN.name}.train.lock", "The training"):
        table_io.create(HISTORY)
        try:
            if registry.live() is None:
                check_stored_sales()
            spark = spark_session(f"{DOMAIN.name}-train")
            version = train(spark, registry)
        except TooFewError as few:
            if registry.live():
                raise
            typer.echo(f"{few.what} There is no model yet; the next `lake nightly` or `lake up` tries again.")
            return
        spark.stop()
    manifest = registry.manifest(version)
    typer.echo(f"{version} {manifest.outcome}: {manifest.reason}")
    distinct, missing = manifest.rows["distinct"], details_of(manifest).imputed
    if unknown := [name for name, count in missing.items() if count == distinct]:
        typer.echo(f"Unknown for all sales, so not part of the price: {', '.join(unknown)}.")
    if filled := [f"{name} in {count:,}" for name, count in missing.items() if count < distinct]:
        typer.echo(f"Facts filled in, of {distinct:,} different sales: {', '.join(filled)}.")


if __name__ == "__main__":
    entry.run(main)
