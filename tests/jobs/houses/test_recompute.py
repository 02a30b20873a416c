"""The incremental recomputation against the full one, over the same lake."""

import copy
import json
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.houses.recompute import recompute
from jobs.houses.schema import AVERAGES_BATCH, DEAD_LETTERS, HISTORY, PARITY
from lakehouse.ops.rename_topic import rename_topic
from lakehouse.settings import settings
from lakehouse.streaming import recompute_state
from lakehouse.tables import cluster, table_io
from lakehouse.tables.maintain import maintain
from tests.jobs.houses.stored_sales import (
    DAY,
    NOON,
    Found,
    Topic,
    append,
    before_the_first,
    beside_a_resend,
    late,
    new_day,
    nothing,
    resent,
    resent_on_another_day,
    rows,
    tables,
)
from tests.sites import in_force

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("lake")]


@pytest.fixture(autouse=True)
def compacts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A maintenance leaves no new file as it is."""
    monkeypatch.setattr(cluster, "NEWEST_ROWS", 0)


@pytest.fixture
def in_full(spark: SparkSession, tmp_path: Path) -> Callable[..., Found]:
    """What a full recomputation makes of a copy of the lake."""

    def full(window: str = "2 minutes", slide: str | None = None) -> Found:
        aside = tmp_path / "copy"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(settings().var, aside)
        with in_force(LAKE_VAR=str(aside)):
            assert recompute(spark, window, slide, full=True).is_full
            return tables()

    return full


@pytest.fixture(scope="module")
def recomputed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Topic, Path]:
    """A history of three days, recomputed once."""
    made, var = Topic(), tmp_path_factory.mktemp("recomputed")
    with in_force(LAKE_VAR=str(var)):
        times = [NOON + (n % 3) * DAY + timedelta(seconds=50 * n) for n in range(30)]
        made.store(*[made.sale(f"e{n}", at, n % 2, price=100 + n) for n, at in enumerate(times)])
        made.store(made.sale(None, NOON), made.sale(None, NOON))
        append(DEAD_LETTERS, [])
        assert recompute(spark, "2 minutes", None).is_full
    return made, var


@pytest.fixture
def topic(recomputed: tuple[Topic, Path], lake: Path) -> Topic:
    """A copy of it for this test."""
    made, var = recomputed
    shutil.copytree(var, lake)
    return copy.deepcopy(made)


def compacted(topic: Topic, spark: SparkSession) -> None:
    new_day(topic)
    resent(topic)
    assert "files became 1;" in maintain(spark, HISTORY)
    late(topic)


@pytest.mark.parametrize(
    "night", [nothing, new_day, late, resent, resent_on_another_day, before_the_first, beside_a_resend]
)
def test_only_what_has_changed_is_computed_and_equals_the_full_one(
    spark: SparkSession, topic: Topic, in_full: Callable[..., Found], night: Callable[[Topic], None]
) -> None:
    night(topic)
    expected = in_full()
    done = recompute(spark, "2 minutes", None)
    assert not done.is_full, done.report
    assert tables() == expected


def test_a_compaction_changes_nothing(spark: SparkSession, topic: Topic, in_full: Callable[..., Found]) -> None:
    compacted(topic, spark)
    expected = in_full()
    assert not recompute(spark, "2 minutes", None).is_full
    assert tables() == expected


def test_the_report_says_how_much_was_computed(spark: SparkSession, topic: Topic) -> None:
    topic.store(topic.sale("x", NOON + 3 * DAY), topic.sale("y", NOON + 3 * DAY, price=101))
    done = recompute(spark, "2 minutes", None)
    total = len(rows(AVERAGES_BATCH))
    assert done.report == f"Incremental recomputation: 2 of {total} rows (1 window) for 2 new events among 34."


def test_a_sale_that_the_averages_read_later_becomes_late(
    spark: SparkSession, topic: Topic, in_full: Callable[..., Found]
) -> None:
    topic.store(topic.sale("x", NOON), watermark=NOON + 9 * DAY)
    topic.store(topic.sale("y", NOON + timedelta(seconds=1)), read=False)
    recompute(spark, "2 minutes", None)
    assert " 0 of " in recompute(spark, "2 minutes", None).report  # what the log does not know yet changes nothing
    before = sum(row["late"] for row in rows(PARITY))
    topic.read(NOON + 9 * DAY)
    expected = in_full()
    assert not recompute(spark, "2 minutes", None).is_full
    assert tables() == expected
    assert sum(row["late"] for row in rows(PARITY)) == before + 1


def test_sliding_windows(spark: SparkSession, topic: Topic, in_full: Callable[..., Found]) -> None:
    options = ("10 minutes", "3 minutes")
    assert recompute(spark, *options).is_full
    new_day(topic)
    resent_on_another_day(topic)
    late(topic)
    expected = in_full(*options)
    assert not recompute(spark, *options).is_full
    assert tables() == expected


def another_window(_topic: Topic, spark: SparkSession) -> str:
    recompute(spark, "4 minutes", None)
    return "window, contract or code has changed"


def renamed_topic(_topic: Topic, spark: SparkSession) -> str:
    rename_topic(spark, [HISTORY.path, DEAD_LETTERS.path], "houses", "houses@old")
    return "changed or removed rows"


def made_again(topic: Topic, _spark: SparkSession) -> str:
    shutil.rmtree(HISTORY.path)
    topic.store(topic.sale("new", NOON))
    return "the history was created again"


def log_is_gone(topic: Topic, _spark: SparkSession) -> str:
    new_day(topic)
    (HISTORY.path / f"_delta_log/{DeltaTable(HISTORY.path).version():020}.json").rename(HISTORY.path / "aside")
    new_day(topic)  # deltalake writes the version again
    (HISTORY.path / "aside").unlink()
    table_io.create(HISTORY).create_checkpoint()
    (HISTORY.path / f"_delta_log/{DeltaTable(HISTORY.path).version():020}.json").unlink()
    return "is gone from its log"


def vacuumed(topic: Topic, spark: SparkSession) -> str:
    new_day(topic)
    resent(topic)
    assert "files became 1;" in maintain(spark, HISTORY)
    DeltaTable(HISTORY.path).vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    return "of the history is gone"


def lost_rows(topic: Topic, _spark: SparkSession) -> str:
    """A damaged commit that was replaced by an empty one: lakehouse/tables/commit_files.py."""
    (HISTORY.path / "_delta_log/00000000000000000001.json").write_text('{"commitInfo": {"operation": "REBUILD"}}\n')
    for file in (HISTORY.path / "_delta_log").glob("*.crc"):
        file.unlink()
    return "not as many rows"


def rebuilt_averages(topic: Topic, _spark: SparkSession) -> str:
    topic.read(NOON, "another")
    return "another checkpoint"


def foreign_rows(_topic: Topic, spark: SparkSession) -> str:
    table_io.overwrite(table_io.read_spark(spark, AVERAGES_BATCH).limit(3), AVERAGES_BATCH)
    return "the batch rows are of another one"


def lost_index(_topic: Topic, _spark: SparkSession) -> str:
    for file in recompute_state.folder("houses").glob("*.npy"):
        file.write_bytes(b"")
    return "cannot be read"


def failed_half_way(topic: Topic, spark: SparkSession) -> str:
    recompute_state.discard("houses")
    return "nothing is known of an earlier one"


def newer_format(_topic: Topic, _spark: SparkSession) -> str:
    file = recompute_state.folder("houses") / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 99}))
    return "nothing is known of an earlier one"


CHANGES = [another_window, renamed_topic, made_again, log_is_gone, vacuumed, lost_rows, rebuilt_averages]
CHANGES += [foreign_rows, lost_index, failed_half_way, newer_format]


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_full_where_it_cannot_go_on(
    spark: SparkSession, topic: Topic, change: Callable[[Topic, SparkSession], str]
) -> None:
    reason = change(topic, spark)
    done = recompute(spark, "2 minutes", None)
    assert done.is_full
    assert reason in done.report


@pytest.mark.parametrize("seed", range(2))
def test_many_nights_equal_the_full_ones(spark: SparkSession, in_full: Callable[..., Found], seed: int) -> None:
    draw, topic, ids = random.Random(seed), Topic(), ["a"]
    append(DEAD_LETTERS, [])
    topic.read(NOON)
    for night in range(4):
        sales = []
        for n in range(draw.choice([0, 5, 40])):
            ids.append(f"{night}-{n}")
            name = draw.choice([None, ids[-1], ids[-1], draw.choice(ids)])
            at = NOON + draw.choice([night, night, draw.randrange(5)]) * DAY + timedelta(seconds=draw.randrange(600))
            after = draw.choice([1, 1, 30, 86_400 * draw.randrange(-5, 5)])
            sales.append(topic.sale(name, at, draw.randrange(2), after, draw.randrange(100, 999)))
        draw.shuffle(sales)
        watermark = NOON + timedelta(minutes=draw.randrange(5 * 1440))
        topic.store(*sales[: len(sales) // 2], read=draw.random() < 0.5, watermark=watermark)
        topic.store(*sales[len(sales) // 2 :], read=draw.random() < 0.5, watermark=watermark)
        expected = in_full()
        assert recompute(spark, "2 minutes", None).is_full == (night == 0)
        assert tables() == expected
