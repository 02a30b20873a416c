"""Prices of houses by id, computed by the published pipeline in Spark."""

import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.csv as pc
import typer
from rich.console import Console
from rich.table import Table as Grid

from jobs.houses.price_model import pipeline
from jobs.houses.price_model.export import SPARK
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import Model, UnknownHouseError
from jobs.houses.schema import DOMAIN, PRICE_MODEL
from lakehouse import entry
from lakehouse.errors import UsageError
from lakehouse.models import safe_pipelines
from lakehouse.models.registry import Registry
from lakehouse.spark.session import spark_session

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
SHOWN = 100  # more prices than these are written as CSV


def wanted(ids: list[str], file: Path | None, everything: bool, known: Model) -> list[str]:
    """The ids to price, each once, in the order given. Raises UsageError when there are none."""
    if everything:
        return [str(house) for house in known.known.houses.ids]
    if file and not file.is_file():
        raise UsageError(f"There is no file {file}.", "--file takes a text file with one house id per line.")
    listed = [line.strip() for line in file.read_text().splitlines()] if file else []
    ids_wanted = list(dict.fromkeys([*ids, *(line for line in listed if line and not line.startswith("#"))]))
    if not ids_wanted:
        raise UsageError("No house is named.", "Give ids, --file with one id per line, or --all.")
    return ids_wanted


def predict(published: Model, folder: Path, ids: list[str]) -> pa.Table:
    """id, price, low and high in dollars, one row per known house, as Spark scores them."""
    houses = published.houses(ids)
    safe_pipelines.check_stages(folder / SPARK, pipeline.CLASSES)  # before the start of Spark
    spark = spark_session(f"{DOMAIN.name}-predict")
    scored = pipeline.score(spark, pipeline.load(folder / SPARK), published.fit, houses)
    spark.stop()
    interval = published.interval
    prices = scored["price"].to_numpy()
    return scored.append_column("low", [prices * interval.low]).append_column("high", [prices * interval.high])


def show(prices: pa.Table, published: Model, as_csv: bool) -> None:
    """Print prices as a table, or as CSV with the model version in each row."""
    if as_csv:
        # An id comes from an event: one that a spreadsheet would take for a formula gets an apostrophe.
        ids = [f"'{house}" if house[:1] in _FORMULA else house for house in prices["id"].to_pylist()]
        prices = prices.set_column(prices.column_names.index("id"), "id", [ids])
        stamped = prices.append_column("model_version", [[published.version] * prices.num_rows])
        pc.write_csv(stamped, pa.output_stream(sys.stdout.buffer))
        return
    grid = Grid("house", "price", "80 % interval", box=None, pad_edge=False)
    for row in prices.to_pylist():
        grid.add_row(row["id"], f"${row['price']:,.0f}", f"${row['low']:,.0f} to ${row['high']:,.0f}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(grid)
    about = published.manifest
    newest = about.cut_off or "an unknown day"
    console.print(f"Model {published.version}, trained on sales up to {newest}, {about.trained_at}.", style="dim")


def main(
    ids: Annotated[list[str] | None, typer.Argument(help="House ids.")] = None,
    file: Annotated[Path | None, typer.Option(help="A text file with one house id per line.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every house that the model knows.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, also for a few houses.")] = False,
) -> None:
    """Print price and 80 % interval of houses. Exits 1 when an id is unknown; the others are priced."""
    registry = Registry(PRICE_MODEL)
    published = Pricer(registry).model()
    registry.verify(published.version)
    ids_wanted = wanted(ids or [], file, everything, published)
    known = set(published.houses(ids_wanted).ids.tolist())
    unknown = [UnknownHouseError(house, published.nearest(house)) for house in ids_wanted if house not in known]
    if known:
        prices = predict(published, registry.path(published.version), ids_wanted)
        order = {house: at for at, house in enumerate(ids_wanted)}
        rows = sorted(prices.to_pylist(), key=lambda row: order[row["id"]])
        show(pa.Table.from_pylist(rows), published, csv or len(rows) > SHOWN)
    for error in unknown:
        sys.stderr.write(f"Error: {error}\n")
    if unknown:
        raise typer.Exit(1)


if __name__ == "__main__":
    entry.run(main)
