"""Gives the rows of a topic that was deleted and made again another topic name, so that coordinates stay unique."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse import entry
from lakehouse.spark.session import spark_session, stop_jvm


def rename_topic(spark: SparkSession, paths: Sequence[Path], topic: str, name: str) -> None:
    """Rename the topic in the rows of the tables; rows that have the new name already stay as they are."""
    from delta import DeltaTable

    for path in paths:
        DeltaTable.forPath(spark, str(path)).update(F.col("topic") == F.lit(topic), {"topic": F.lit(name)})


def main(
    tables: Annotated[list[Path], typer.Argument(help="Delta tables with a column `topic`.")],
    topic: Annotated[str, typer.Option(help="The topic as the rows name it.")],
    name: Annotated[str, typer.Option(help="The name they get.")],
) -> None:
    """Rename a topic in the rows of tables."""
    spark = spark_session("rename_topic")
    rename_topic(spark, tables, topic, name)
    stop_jvm(spark)


if __name__ == "__main__":
    entry.run(main)
