"""Checkpoints read from disk."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse import checkpoints, sidecar
from lakehouse.errors import RefusedError
from lakehouse.streams import describe_batch


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


def test_a_start_that_changes_what_the_state_rests_on_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "averages", committed=1)
    sidecar.check(folder, "houses.averages", {"window": "2 minutes", "topic id": "a"})
    sidecar.check(folder, "houses.averages", {"window": "2 minutes", "topic id": "a"})
    with pytest.raises(RefusedError, match=r"window was '2 minutes' and is now '5 minutes'.*lake reset houses"):
        sidecar.check(folder, "houses.averages", {"window": "5 minutes", "topic id": "a"})
    with pytest.raises(RefusedError, match="topic id was 'a' and is now 'b'"):
        sidecar.check(folder, "houses.averages", {"window": "2 minutes", "topic id": "b"})


def test_a_new_checkpoint_may_rest_on_anything(tmp_path: Path) -> None:
    sidecar.check(tmp_path / "c", "houses.averages", {"window": "2 minutes"})
    sidecar.check(tmp_path / "c", "houses.averages", {"window": "5 minutes"})
    assert sidecar.recorded(tmp_path / "c") == {"window": "5 minutes"}
