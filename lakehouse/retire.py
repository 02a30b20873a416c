"""Gives the rows of a topic that was deleted and made again another topic name, so that coordinates stay unique."""

from pathlib import Path
from typing import Annotated

import typer
from pyspark.sql import functions as F

from lakehouse import entry
from lakehouse.session import spark_session, stop_jvm


def main(
    tables: Annotated[list[Path], typer.Argument(help="Delta tables with a column `topic`.")],
    topic: Annotated[str, typer.Option(help="The topic as the rows name it.")],
    name: Annotated[str, typer.Option(help="The name they get.")],
) -> None:
    """Rename a topic in the rows of tables; rows that have the new name already stay as they are."""
    from delta import DeltaTable

    spark = spark_session("retire")
    for table in tables:
        DeltaTable.forPath(spark, str(table)).update(F.col("topic") == F.lit(topic), {"topic": F.lit(name)})
    stop_jvm(spark)


if __name__ == "__main__":
    entry.run(main)
