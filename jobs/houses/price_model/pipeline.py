"""The model in Spark: training rows, features and the MLlib pipeline. Pure functions, DataFrame -> DataFrame."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Estimator, Pipeline, PipelineModel
from pyspark.ml.feature import OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.regression import LinearRegression, LinearRegressionModel
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.houses.price_model import catalogue, features, house_columns, spark_features
from jobs.houses.price_model.export import Fit
from jobs.houses.price_model.house_columns import FACTS, HOLD_OUT_PERCENT, Basis, Houses
from jobs.houses.price_model.spark_features import add_features
from lakehouse.errors import DataError
from lakehouse.models import safe_pipelines
from lakehouse.spark.session import collect

REGULARISATION = 3e-4  # keeps the coefficients of rare zip codes and of overlapping features small
# What a pipeline of ours consists of once fitted; a saved one that names another class is not loaded.
CLASSES = (
    "org.apache.spark.ml.PipelineModel",
    "org.apache.spark.ml.feature.StringIndexerModel",
    "org.apache.spark.ml.feature.OneHotEncoderModel",
    "org.apache.spark.ml.feature.VectorAssembler",
    "org.apache.spark.ml.regression.LinearRegressionModel",
)
_COLUMNS = [name for name in FACTS if name != "listed_day"]


def sale_rows(distinct: DataFrame, day: str = "listed_at") -> DataFrame:
    """Distinct sales as training rows: one per house, facts and price, with `sales`, how many such sales there were.

    Ten equal sales of a house weigh as ten, and cost as one. `listed_day` counts days since 1970-01-01 to `day`.
    """
    listed = F.date_diff(F.col(day).cast("date"), F.lit("1970-01-01").cast("date"))
    facts = [F.col(name).cast("double").alias(name) for name in _COLUMNS]
    rows = distinct.select(
        "id", F.col("price").cast("double").alias("price"), *facts, listed.cast("double").alias("listed_day")
    )
    return rows.groupBy("id", "price", *FACTS).agg(F.count(F.lit(1)).cast("double").alias("sales"))


def is_hold_out() -> Column:
    """The rule of `house_columns.is_hold_out` as a column."""
    return F.crc32(F.col("id")) % 100 < HOLD_OUT_PERCENT


def with_features(rows: DataFrame, basis: Basis) -> DataFrame:
    """The input of the pipeline, one row per row, from training rows or houses without a price.

    Columns: id, zip, numbers (vector), log_price (null without a price), sales.
    """

    priced = rows if "price" in rows.columns else rows.withColumn("price", F.lit(None).cast("double"))
    counted = priced if "sales" in rows.columns else priced.withColumn("sales", F.lit(1.0))
    rows_with_features = counted.select("id", "price", "sales", *FACTS).mapInArrow(
        functools.partial(add_features, basis=basis), spark_features.SCHEMA
    )
    return rows_with_features.withColumn("numbers", array_to_vector(F.col("numbers")))


def pipeline(zips: bool = True) -> Pipeline:
    """Zip codes one-hot beside the numbers, then a linear regression of the log price weighted by `sales`.

    Without zip codes (a county may have none) the numbers only: the encoder needs two different ones.
    """
    by_zip: list[Estimator[Any]] = [
        StringIndexer(inputCol="zip", outputCol="zip_index", handleInvalid="keep", stringOrderType="alphabetAsc"),
        OneHotEncoder(inputCol="zip_index", outputCol="zip_vector", handleInvalid="error", dropLast=True),
    ]
    regression = LinearRegression(
        featuresCol="features",
        labelCol="log_price",
        weightCol="sales",
        solver="normal",
        regParam=REGULARISATION,
        elasticNetParam=0.0,
    )
    assembler = VectorAssembler(inputCols=["numbers", *(["zip_vector"] if zips else [])], outputCol="features")
    return Pipeline(stages=[*(by_zip if zips else []), assembler, regression])


def fit(rows: DataFrame, basis: Basis) -> tuple[PipelineModel, Fit]:
    """The pipeline fitted to training rows, and the same model as data. Raises DataError when the fit is degenerate."""
    training = with_features(rows, basis).persist()
    try:
        fitted = pipeline(zips=len(basis.zips) > 0).fit(training)
        mean = Summarizer.mean(F.col("numbers"), F.col("sales"))
        summed = F.sum("sales").alias("sales"), vector_to_array(mean).alias("mean")
        by_zip = collect(training.groupBy("zip").agg(*summed))
    finally:
        training.unpersist()
    shares = {row["zip"]: row["sales"] for row in by_zip}  # None for houses without a zip code
    means = np.average([row["mean"] for row in by_zip], axis=0, weights=list(shares.values()))
    return fitted, as_data(fitted, basis, means, shares)


def as_data(fitted: PipelineModel, basis: Basis, means: house_columns.Floats, shares: dict[str | None, float]) -> Fit:
    """The coefficients of the fitted pipeline, split as its assembler joined the columns."""
    regression = fitted.stages[-1]
    assert isinstance(regression, LinearRegressionModel)
    coefficients = regression.coefficients.toArray()
    if not np.isfinite(coefficients).all() or not coefficients.any():
        raise DataError("The fit found no finite coefficients.", "The live model stays; look at the newest sales.")
    split = len(features.feature_names(basis))
    labels = fitted.stages[0].labels if len(basis.zips) else []  # type: ignore[attr-defined]
    by_zip = dict(zip(labels, coefficients[split:], strict=False))
    of_zip = np.array([by_zip.get(str(name), 0.0) for name in basis.zips])
    total = sum(shares.values())
    zip_mean = sum(by_zip.get(name, 0.0) * count for name, count in shares.items()) / total
    return Fit(basis, float(regression.intercept), coefficients[:split], of_zip, means, float(zip_mean))


def load(folder: Path) -> PipelineModel:
    """A saved pipeline; all its stages must be ours. Raises DataError, which names the file of another one."""
    safe_pipelines.check_stages(folder, CLASSES)
    return PipelineModel.load(str(folder))


def score(spark: SparkSession, pipeline: PipelineModel, fit: Fit, houses: Houses) -> pa.Table:
    """id and price in dollars of each house, by the pipeline in Spark."""
    rows = spark.createDataFrame(catalogue.as_rows(houses))
    scored_rows = with_features(rows, fit.basis).persist()
    try:
        predictions = pipeline.transform(scored_rows).select("id", "prediction").toArrow()
    finally:
        scored_rows.unpersist()
    return pa.table({"id": predictions["id"], "price": np.exp(predictions["prediction"].to_numpy())})
