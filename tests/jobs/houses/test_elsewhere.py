"""Houses of another county only: they are trained on, priced and mapped as those of this one, and nothing shows King
County. Facts that no sale has are unknown.
"""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from jobs.houses import build_datasets, train
from jobs.houses.price_model import export, pipeline
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import Model
from jobs.houses.schema import PRICE_MODEL, PRICES
from lakehouse.errors import DataError
from lakehouse.models.registry import Registry
from lakehouse.tables import table_io
from tests.jobs.houses import elsewhere
from tests.own_lake import own_lake

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def trained(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A lake begun empty, with sales of Perth on the stream, and the version that its training published."""
    with own_lake(tmp_path_factory.mktemp("var")):
        build_datasets.main(load=True, empty=True)
        registry = Registry(PRICE_MODEL)
        train.main(if_none=True)  # as `lake up` calls it; it starts no Spark and is no failure
        elsewhere.stream(elsewhere.perth())
        with pytest.raises(train.TooFewError):
            train.check_stored_sales()
        with pytest.raises(DataError, match="Too few sales to train on: 40 different ones"):
            train.train(spark, registry)
        elsewhere.stream(elsewhere.county())
        train.train(spark, registry)
        yield registry


def test_the_model_is_of_the_houses_sent(trained: Registry) -> None:
    manifest = trained.manifest("v0001")
    assert trained.live() == "v0001"
    assert manifest.details["houses"] == {"known": 840, "for_sale": 0}
    assert manifest.metrics["r2"] > 0.7
    assert manifest.cut_off == "2026-05-04", "the day of the newest sale, as none has a day of listing"
    assert table_io.read(PRICES).num_rows == 0
    train.check_stored_sales()


def test_facts_that_no_sale_has_are_unknown_and_explain_nothing(trained: Registry) -> None:
    answer = Pricer(trained).price("WA-run-800")
    assert answer.facts["grade"] is answer.facts["zipcode"] is None
    parts = {part.name: part for part in answer.contributions}
    for name in ("grade", "condition", "sqft_above", "yr_renovated"):
        assert (round(parts[name].dollars, 2), parts[name].value_text) == (0, "not known")
    assert parts["location"].value_text == "latitude and longitude"
    assert abs(parts["sqft_living"].dollars) > 1000
    total = answer.baseline + sum(part.dollars for part in answer.contributions)
    assert total == pytest.approx(answer.price)
    assert answer.comparables
    json.dumps(answer.as_dict(), allow_nan=False)


def test_zip_codes_of_some_houses_only(spark: SparkSession, trained: Registry) -> None:
    """A zip code whose place nobody knows is none to either side; it was one to Spark alone."""
    sales = elsewhere.county(60)
    coded = [{**sale, "id": f"coded{at}", "zipcode": 6000 + at % 3} for at, sale in enumerate(sales)]
    placeless = [
        {**sale, "id": f"lost{at}", "zipcode": 7000, "lat": None, "long": None} for at, sale in enumerate(sales)
    ]
    elsewhere.stream([*coded, *placeless])
    version = train.train(spark, trained)
    assert trained.manifest(version).outcome == "published"
    answer = Pricer(trained).price("WA-run-800")
    assert next(part.value_text for part in answer.contributions if part.name == "location").startswith("near zip code")


def test_spark_and_export_agree(spark: SparkSession, trained: Registry) -> None:
    published = Model(trained, "v0001")
    loaded = PipelineModel.load(str(trained.path("v0001") / export.SPARK))
    houses = published.known.houses
    scored = pipeline.score(spark, loaded, published.fit, houses)
    prices = dict(zip(scored["id"].to_pylist(), scored["price"].to_pylist(), strict=True))
    assert np.allclose([prices[house] for house in houses.ids], published.fit.prices(houses), rtol=1e-6)
