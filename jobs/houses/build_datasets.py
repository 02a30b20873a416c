"""Sales in a file -> initial history, sales to stream, and houses for sale whose prices are withheld."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from jobs.houses import datasets
from jobs.houses.sale_files.values import SALE_SCHEMA, Sales
from jobs.houses.schema import HISTORY
from lakehouse import entry
from lakehouse.errors import RefusedError, UsageError
from lakehouse.settings import ROOT
from lakehouse.tables import table_io

COMMITTED = ROOT / "data/houses/house_prices.parquet"
APP_ID = "houses-initial"


class Loaded(Enum):
    """The initial history that the history has: none, this one, or another one."""

    NONE = "none"
    THIS = "this one"
    ANOTHER = "another one"


def main(
    source: Annotated[Path, typer.Option("--input", help="Sales as .csv, .tsv, .csv.gz or .parquet.")] = COMMITTED,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sets.")] = 42,
    initial: Annotated[float, typer.Option(min=0, max=1, help="Fraction that is the initial history.")] = 0.4,
    stream: Annotated[float, typer.Option(min=0, max=1, help="Fraction to stream.")] = 0.5,
    for_sale: Annotated[float, typer.Option(min=0, max=1, help="Fraction for sale, its prices withheld.")] = 0.1,
    load: Annotated[
        bool, typer.Option("--load", help="Load the initial history into the Delta history, once.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep existing sets; build only missing ones.")] = False,
    empty: Annotated[bool, typer.Option("--empty", help="Sets without sales: the lake starts empty.")] = False,
) -> None:
    """Split the sales into an initial history, sales to stream and houses for sale."""
    if empty:
        begin_empty(source, load)
        return
    if keep and (datasets.data_folder() / datasets.MANIFEST).exists():
        [history] = datasets.read_sets(datasets.INITIAL)
        typer.echo(f"Kept the data sets in {datasets.data_folder()}.")
    else:
        history = build(source, seed, fractions(initial, stream, for_sale), load)
    if load:
        load_history(history)


def begin_empty(source: Path, load: bool) -> None:
    """Publish sets without sales in place of the existing ones: the houses are then those of the sales sent.

    Raises RefusedError when the history already holds an initial history.
    """
    if source != COMMITTED:
        raise UsageError("--empty and --input exclude each other.", "Give one of them.")
    nothing = SALE_SCHEMA.empty_table()
    if loaded(nothing) is not Loaded.NONE:
        raise RefusedError(
            f"{HISTORY.path} already has an initial history, so the lake cannot start empty.",
            "Leave out --empty to keep it, or set LAKE_VAR to another folder.",
        )
    written = publish(withheld(dict.fromkeys((datasets.INITIAL, datasets.TO_STREAM, datasets.FOR_SALE), nothing)), {})
    if load:
        table_io.create(HISTORY)
    typer.echo(f"Sets without sales: {'written to' if written else 'already in'} {datasets.data_folder()}.")


def fractions(initial: float, stream: float, for_sale: float) -> dict[str, float]:
    """The fractions by set. Raises UsageError when they do not add up to 1."""
    if not abs(initial + stream + for_sale - 1) < 1e-9:  # not >=: NaN must not pass
        total = f"{initial + stream + for_sale:.6g}"
        raise UsageError(
            f"--initial {initial:g}, --stream {stream:g} and --for-sale {for_sale:g} add up to {total}.",
            "They must add up to 1: every sale goes into one of the three sets.",
        )
    return {datasets.INITIAL: initial, datasets.TO_STREAM: stream, datasets.FOR_SALE: for_sale}


def build(source: Path, seed: int, shares: Mapping[str, float], load: bool) -> pa.Table:
    """Build and publish the sets; returns the initial history.

    Raises RefusedError when `load` is asked for and the history has another one.
    """
    file_sales = datasets.read_file(source)
    first = pc.indices_nonzero(datasets.incomplete(file_sales.rows)).to_pylist()
    sets = datasets.split(file_sales.rows, shares, seed, first)
    if load:
        refuse_another(sets[datasets.INITIAL])  # before anything is written
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    about = {"input": source.name, "input_sha256": digest, "seed": seed, "fractions": dict(shares)}
    written = publish(withheld(sets), about)
    rows = ", ".join(f"{part.num_rows:,} {name.replace('_', ' ')}" for name, part in sets.items())
    typer.echo("".join(f"{line}\n" for line in notes(file_sales)), nl=False)
    typer.echo(f"{file_sales.rows.num_rows:,} sales, seed {seed}: {rows}.")
    typer.echo(f"{'Written to' if written else 'Already in'} {datasets.data_folder()}.")
    return sets[datasets.INITIAL]


def notes(file_sales: Sales) -> list[str]:
    """Sentences about the file: duplicates, unknown facts, and the effect of missing columns."""
    lines = []
    if file_sales.doubles:
        lines.append(f"{file_sales.doubles:,} rows were duplicates: each sale is kept once.")
    if file_sales.unknown:
        counted = ", ".join(f"{name} of {count:,}" for name, count in file_sales.unknown.items())
        lines.append(f"Unknown facts, by number of sales: {counted}.")
    if file_sales.absent:
        lines.append(f"The file has no {', '.join(file_sales.absent)}: unknown for all sales.")
    if {"lat", "long"} & {*file_sales.absent}:
        lines.append("Without lat and long no house is on the map, and prices ignore location.")
    if "date" in file_sales.absent:
        lines.append("Without date no sale counts as earlier than another, so prices have no comparable sales.")
    return lines


def withheld(sets: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The sets, with the prices of the houses for sale moved to a separate set."""
    for_sale = sets[datasets.FOR_SALE]
    prices = for_sale.select(["id", "listed_at", "price"])
    return {**sets, datasets.FOR_SALE: for_sale.drop_columns("price"), datasets.FOR_SALE_PRICES: prices}


def publish(sets: Mapping[str, pa.Table], about: Mapping[str, Any]) -> bool:
    """Write the sets aside, then move each into place; False when the same bytes exist already.

    The manifest goes last and names each file's digest, so a reader between two renames sees that they do not match.
    """
    files = {name: _parquet(rows) for name, rows in sets.items()}
    described = {
        name: {"rows": sets[name].num_rows, "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    }
    contents = {f"{name}.parquet": content for name, content in files.items()}
    contents[datasets.MANIFEST] = (
        json.dumps({"format": datasets.FORMAT, **about, "sets": described}, indent=2) + "\n"
    ).encode()
    folder = datasets.data_folder()
    if all((folder / name).is_file() and (folder / name).read_bytes() == data for name, data in contents.items()):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=".new-"))
    try:
        for name, content in contents.items():
            (aside / name).write_bytes(content)
        for name in contents:
            (aside / name).replace(folder / name)
    finally:
        shutil.rmtree(aside)
    return True


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd")
    return bytes(sink.getvalue())


def loaded(initial: pa.Table) -> Loaded:
    """Whether the history has this initial history, another one, or none."""
    names = SALE_SCHEMA.names
    stored = table_io.read(HISTORY, names, filters=[("source", "=", "initial")])
    if not stored.num_rows:
        return Loaded.NONE
    order = [(name, "ascending") for name in ("id", "listed_at", *names)]
    same = stored.select(names).cast(SALE_SCHEMA).sort_by(order).equals(initial.select(names).sort_by(order))
    return Loaded.THIS if same else Loaded.ANOTHER


def refuse_another(initial: pa.Table) -> None:
    """Raises RefusedError when the history has another initial history."""
    if loaded(initial) is Loaded.ANOTHER:
        raise RefusedError(
            f"{HISTORY.path} already has another initial history (another seed, fractions or file); "
            "loading this one, too, would count houses twice.",
            "Give the options it was built with, or load this one into another lake: LAKE_VAR=<another folder>.",
        )


def load_history(initial: pa.Table) -> None:
    """Append the initial history to the Delta history, once. Raises RefusedError when it has another one."""
    refuse_another(initial)
    if not initial.num_rows:  # nothing to append; another initial history may still be loaded later
        table_io.create(HISTORY)
        typer.echo(f"{HISTORY.path} starts without sales.")
        return
    rows = history_rows(initial)
    if table_io.append(table_io.create(HISTORY), rows, app_id=APP_ID, version=0):
        typer.echo(f"Loaded {rows.num_rows:,} sales into {HISTORY.path}.")
    else:
        typer.echo(f"Already loaded: {HISTORY.path} has these {rows.num_rows:,} sales as its initial history.")


def history_rows(initial: pa.Table) -> pa.Table:
    """The sales as rows of the history: never on the stream, so without event time and Kafka coordinates."""
    given = {name: initial[name] for name in initial.column_names}
    given["source"] = pa.array(["initial"] * initial.num_rows, pa.string())
    columns = [given.get(field.name, pa.nulls(initial.num_rows, field.type)) for field in HISTORY.arrow_schema]
    return pa.table(columns, schema=HISTORY.arrow_schema)


if __name__ == "__main__":
    entry.run(main)
