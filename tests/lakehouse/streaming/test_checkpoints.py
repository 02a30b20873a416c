"""Checkpoints read from disk."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse.errors import RefusedError
from lakehouse.streaming import checkpoints, sidecar
from lakehouse.streaming.batch import describe_batch
from lakehouse.streaming.sidecar import Sidecar


def write_checkpoint(folder: Path, committed: int) -> Path:
    """A checkpoint of three batches as Spark writes one, the first `committed` of them committed."""
    for part in ("offsets", "commits"):
        (folder / part).mkdir(parents=True)
    (folder / "metadata").write_text('{"id":"gen-1"}')
    for batch, (watermark, ends) in enumerate([(0, [5, 7]), (1795348800000, [5, 9]), (1795348920000, [6, 9])]):
        offsets = f'{{"houses":{{"0":{ends[0]},"1":{ends[1]}}}}}'
        (folder / "offsets" / str(batch)).write_text(f'v1\n{{"batchWatermarkMs":{watermark}}}\n{offsets}')
        if batch < committed:
            (folder / "commits" / str(batch)).write_text("v1\n{}")
    (folder / "offsets" / ".3.tmp").write_text("half")
    return folder


def test_last_committed_is_the_newest_batch_with_a_commit(tmp_path: Path) -> None:
    plan = checkpoints.last_committed(write_checkpoint(tmp_path / "c", committed=2))
    assert plan is not None
    assert (plan.batch_id, plan.ends) == (1, {("houses", 0): 5, ("houses", 1): 9})
    assert plan.watermark == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_no_commit_yet_is_no_batch(tmp_path: Path) -> None:
    assert checkpoints.last_committed(tmp_path / "nothing") is None
    assert checkpoints.last_committed(write_checkpoint(tmp_path / "c", committed=0)) is None


def test_a_batch_reads_from_where_the_one_before_ended(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "c", committed=2)
    first, second = describe_batch(folder, 0), describe_batch(folder, 1)
    assert (first.starts, first.watermark, first.records) == ({("houses", 0): 0, ("houses", 1): 0}, None, 12)
    assert (second.starts, second.records, second.generation) == (first.ends, 2, "gen-1")


def test_the_first_batch_starts_where_the_sidecar_says_and_notes_the_generation_there(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "averages", committed=1)
    begun = Sidecar({}, {"houses": "id"}, "", {("houses", 0): 2, ("houses", 1): 7, ("other", 0): 1}, {("houses", 0): 4})
    sidecar.write(folder, begun)
    first = describe_batch(folder, 0)
    assert (first.starts, first.records) == ({("houses", 0): 2, ("houses", 1): 7}, 3)
    assert (first.app_id, first.reads_again) == ("gen-1:averages", True)
    assert not describe_batch(folder, 1).reads_again
    assert sidecar.read(folder) == replace(begun, generation="gen-1")


def test_a_sidecar_from_before_there_were_generations_is_understood(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"window": "2 minutes"}')
    assert sidecar.recorded(tmp_path / "c") == {"window": "2 minutes"}
    (tmp_path / "d.json").write_text('{"window": "2 minutes", "topic": "houses"}')
    assert sidecar.read(tmp_path / "d") == Sidecar({"window": "2 minutes"}, {"houses": ""}, starts={})
    assert sidecar.recorded(tmp_path / "none") == {}


@pytest.mark.parametrize("number", [{}, {"format": 1}])
def test_a_sidecar_by_partition_number_is_one_of_its_one_topic(tmp_path: Path, number: dict[str, int]) -> None:
    rests_on = {"window": "2 minutes", "topic": "houses", "topic id": "id-1"}
    old = {"depends_on": rests_on, "generation": "g", "starts": {"0": 5, "1": 0}, "held_until": {"1": 9}}
    (tmp_path / "c.json").write_text(json.dumps(old | number))
    starts = {("houses", 0): 5, ("houses", 1): 0}
    read = Sidecar({"window": "2 minutes"}, {"houses": "id-1"}, "g", starts, {("houses", 1): 9})
    assert sidecar.read(tmp_path / "c") == read
    sidecar.write(tmp_path / "c", read)
    assert sidecar.read(tmp_path / "c") == read
    assert json.loads((tmp_path / "c.json").read_text())["starts"] == {"houses": {"0": 5, "1": 0}}


def test_a_sidecar_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"format": 3, "depends_on": {}}')
    with pytest.raises(RefusedError, match=r"c\.json has format 3, and this version reads formats up to 2\."):
        sidecar.read(tmp_path / "c")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("metadata", None, "metadata is missing"),
        ("metadata", "", "metadata is cut off"),
        ("offsets/2", "", "offsets/2 is cut off"),
        ("offsets/2", 'v1\n{"batchWatermarkMs":0}\n{"hou', "offsets/2 is cut off"),
        ("commits/1", "v1", "commits/1 is cut off"),
        ("offsets/1", None, "offsets/1 is missing"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: str | None, said: str) -> None:
    folder = write_checkpoint(tmp_path / "c", committed=2)
    assert checkpoints.damage(folder) == ""
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    assert checkpoints.damage(folder) == f"{folder}/{said}"


def test_a_discarded_checkpoint_is_gone(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "c", committed=2)
    checkpoints.discard(folder)
    checkpoints.discard(folder)
    assert not checkpoints.exists(folder)
    assert list(tmp_path.iterdir()) == []


def test_state_keeps_the_partitions_of_its_first_start(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "c", committed=1)
    newest = folder / "offsets/2"
    conf = '{"spark.sql.streaming.join.stateFormatVersion":"2","spark.sql.shuffle.partitions":"16"}'
    newest.write_text(newest.read_text().replace("{", f'{{"conf":{conf},', 1))
    assert checkpoints.state_partitions(folder) is None  # no state
    (folder / "state").mkdir()
    assert checkpoints.state_partitions(folder) == 16
    assert checkpoints.state_partitions(tmp_path / "none") is None
