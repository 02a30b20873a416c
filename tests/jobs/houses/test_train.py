"""Training in Spark: one real run from the data sets to a published version, its gate and its refusals."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from jobs.houses import build_datasets, train
from jobs.houses.build_datasets import COMMITTED
from jobs.houses.price_model import catalogue, export, house_columns, pipeline
from jobs.houses.price_model.house_columns import FACTS
from jobs.houses.price_model.published import Model
from jobs.houses.schema import HISTORY, PRICE_MODEL, PRICES
from lakehouse.errors import DataError
from lakehouse.models.registry import Registry
from lakehouse.tables import table_io
from tests.own_lake import own_lake

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A lake with the initial history, and the version that the first training published."""
    with own_lake(tmp_path_factory.mktemp("var")):
        history = build_datasets.build(COMMITTED, 42, build_datasets.fractions(0.4, 0.5, 0.1), True)
        build_datasets.load_history(history)
        registry = Registry(PRICE_MODEL)
        train.train(spark, registry)
        yield registry


def test_the_model_is_as_good_as_promised(trained: Registry) -> None:
    manifest = trained.manifest("v0001")
    assert manifest.outcome == "published"
    assert trained.live() == "v0001"
    assert manifest.metrics["r2"] >= 0.86
    assert manifest.metrics["mape"] <= 0.133
    assert 0.76 <= manifest.metrics["coverage"] <= 0.84
    assert manifest.details["houses"]["known"] == 21_436, "any house of the file can be asked for"
    assert manifest.rows["training"] + manifest.rows["hold_out"] == manifest.rows["sales"] == 8645


def test_spark_and_export_agree_on_every_house_for_sale(spark: SparkSession, trained: Registry) -> None:
    published = Model(trained, "v0001")
    offered = published.known.houses.take(published.known.for_sale)
    loaded = PipelineModel.load(str(trained.path("v0001") / export.SPARK))
    scored = pipeline.score(spark, loaded, published.fit, offered)
    ours = dict(zip(offered.ids.tolist(), published.fit.prices(offered).tolist(), strict=True))
    assert scored.num_rows == len(offered) > 2000
    for house, price in zip(scored["id"].to_pylist(), scored["price"].to_pylist(), strict=True):
        assert math.isclose(price, ours[house], rel_tol=1e-6)


def test_every_house_for_sale_is_priced_in_the_table(trained: Registry) -> None:
    rows = table_io.read(PRICES).to_pylist()
    published = Model(trained, "v0001")
    assert {row["id"] for row in rows} == set(published.known.houses.ids[published.known.for_sale].tolist())
    assert all(row["model_version"] == "v0001" and row["low"] < row["price"] < row["high"] for row in rows)


def test_the_judged_fit_has_seen_no_hold_out_house(trained: Registry) -> None:
    published = Model(trained, "v0001")
    assert not any(house_columns.is_hold_out(str(house)) for house in published.known.judged().ids)
    assert any(house_columns.is_hold_out(str(house)) for house in published.known.sold.ids)


def test_a_worse_model_is_refused_and_kept(spark: SparkSession, trained: Registry, monkeypatch: Any) -> None:
    monkeypatch.setattr(pipeline, "REGULARISATION", 5.0)  # a fit that has learnt next to nothing
    version = train.train(spark, trained)
    manifest = trained.manifest(version)
    assert manifest.outcome == "refused"
    assert "worse, so v0001 stays" in manifest.reason
    assert manifest.details["live"]["mape"] == pytest.approx(trained.manifest("v0001").metrics["mape"])
    assert trained.live() == "v0001"
    assert not (trained.path(version) / export.SPARK).exists()


def test_a_publication_that_disagrees_with_its_export_is_none(
    spark: SparkSession, trained: Registry, monkeypatch: Any
) -> None:
    before = {path.name for path in trained.folder.iterdir()}
    honest = export.Fit.as_json

    def skewed(fit: export.Fit) -> str:
        exported = json.loads(honest(fit))
        exported["intercept"] += 1e-5
        return json.dumps(exported)

    monkeypatch.setattr(export.Fit, "as_json", skewed)
    with pytest.raises(DataError, match="differ by"):
        train.train(spark, trained)
    assert {path.name for path in trained.folder.iterdir()} == before
    assert trained.live() == "v0001"


def test_a_sale_without_some_facts_is_trained_on_and_counted(spark: SparkSession, trained: Registry) -> None:
    before = trained.manifest("v0001").rows["distinct"]
    plain = {"price": Decimal(500_000), "bedrooms": 3, "bathrooms": 2.0, "sqft_living": 1800, "sqft_lot": 5000}
    plain |= {"floors": 1.0, "waterfront": 0, "view": 0, "yr_built": 1960, "source": "stream"}
    rows = table_io.rows(HISTORY, [{"id": f"short{n}", "event_id": f"e{n}", **plain} for n in range(3)])
    write_deltalake(table_io.create(HISTORY), rows, mode="append")
    manifest = trained.manifest(train.train(spark, trained))
    assert manifest.rows["distinct"] == before + 3, "none is dropped"
    imputed = manifest.details["imputed"]
    assert imputed["grade"] == imputed["lat"] == imputed["listed_day"] == 3
    assert "bedrooms" not in imputed


def test_sales_are_counted_once_each_and_sold_at_is_no_feature(spark: SparkSession) -> None:
    sale = dict.fromkeys(HISTORY.columns) | {"id": "1", "price": 100, "sqft_living": 10}
    sales = [sale, {**sale, "sold_at": datetime(2026, 1, 1)}, {**sale, "price": 200}]  # noqa: DTZ001
    rows = pipeline.sale_rows(
        spark.createDataFrame([tuple(s.values()) for s in sales], HISTORY.ddl.replace("DECIMAL(12,2)", "INT"))
    )
    assert sorted((row["price"], row["sales"]) for row in rows.collect()) == [(100.0, 2.0), (200.0, 1.0)]
    assert "sold_at" not in rows.columns


def test_the_hold_out_rule_is_the_same_in_spark(spark: SparkSession) -> None:
    ids = [str(number) for number in range(1_000_000_000, 1_000_002_000)]
    rows = spark.createDataFrame([(house,) for house in ids], "id string")
    theirs = {row["id"] for row in rows.where(pipeline.is_hold_out()).collect()}
    assert theirs == {house for house in ids if house_columns.is_hold_out(house)}


def _rows(prices: list[float]) -> pa.Table:
    count = len(prices)
    columns: dict[str, Any] = {name: np.ones(count) for name in FACTS}
    return pa.table({"id": [str(n) for n in range(count)], "price": prices, **columns, "sales": np.ones(count)})


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ([], "Too few sales"),
        ([100.0], "Too few sales"),
        ([100.0] * 1000, "same price"),
        ([100.0] * 999 + [math.nan], "not a positive number"),
        ([100.0] * 999 + [-1.0], "not a positive number"),
    ],
)
def test_sales_that_teach_nothing_are_refused(prices: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        train.check_sales(_rows(prices))


def test_known_houses_take_the_latest_listing(lake: Path) -> None:
    sold = house_columns.columns(
        ["1", "2", "1"],
        {name: [1.0, 1.0, 2.0] for name in FACTS} | {"listed_day": [10.0, 5.0, 20.0], "price": [1.0, 2.0, 3.0]},
    )
    found = catalogue.known_houses(sold)
    assert found.houses.ids.tolist() == ["1", "2"]
    assert found.houses.prices.tolist() == [3.0, 2.0]
    assert found.houses.facts["grade"].tolist() == [2.0, 1.0]
    assert not found.for_sale.any()


def test_too_few_sales_and_no_model_yet_end_well_with_a_sentence(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train.main(if_none=True)
    output = capsys.readouterr().out
    assert output.startswith("Too few sales to train on: 0 different ones")
    assert output.endswith("There is no model yet; the next `lake nightly` or `lake up` tries again.\n")
    monkeypatch.setattr(Registry, "live", lambda _: "v0001")
    monkeypatch.setattr(train, "spark_session", lambda _: None)
    monkeypatch.setattr(train, "train", lambda *_: train.check_sales(_rows([])))
    with pytest.raises(DataError, match="A live model stays"):
        train.main(if_none=False)
