"""On which days an id was recorded: against a count in plain Python."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.streaming import id_index
from lakehouse.streaming.id_index import IdIndex, Numbers

BASE = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def numbers(records: list[tuple[str, datetime | None]]) -> Numbers:
    ids, moments = [each[0] for each in records], [each[1] for each in records]
    times = pa.chunked_array([pa.array(moments, pa.timestamp("us", tz="UTC"))])
    return id_index.numbers(pa.chunked_array([pa.array(ids, pa.string())]), times)


def some(count: int, seed: int) -> list[tuple[str, datetime | None]]:
    draw = random.Random(seed)
    names = ["", "a", "a\0", "ä" * 64, *(f"{n:0{draw.randrange(1, 128)}}" for n in range(count))]
    return [(draw.choice(names), BASE + timedelta(hours=draw.randrange(500))) for _ in range(count)]


def test_counts_and_days_are_those_of_all_records_of_the_id(tmp_path: Path) -> None:
    records, index = [], IdIndex()
    for night, count in enumerate((900, 10, 500, 1, 0, 40)):
        records += (new := some(count, night))
        index.add([numbers(new)])
        index = IdIndex.load(tmp_path, index.save(tmp_path, night))
    days = defaultdict(list)
    for name, at in records:
        assert at
        days[name].append((at - EPOCH).days)
    names = sorted(days)
    asked = numbers([(name, None) for name in names])
    assert index.counts(asked).tolist() == [len(days[name]) for name in names]
    assert [index.days(asked[at : at + 1]) for at in range(len(names))] == [set(days[name]) for name in names]


def test_an_event_time_out_of_range_has_no_day() -> None:
    index = IdIndex()
    times = (None, EPOCH, EPOCH - timedelta(days=3), datetime(2500, 1, 1, tzinfo=UTC))
    index.add([numbers([("a", at) for at in times])])
    assert index.days(numbers([("a", BASE)])) == {id_index.NO_DAY}


def test_small_runs_become_larger_ones(tmp_path: Path) -> None:
    index = IdIndex()
    for night in range(64):
        index.add([numbers(some(10, night))])
        names = index.save(tmp_path, night)
        assert sum(len(np.load(tmp_path / name)) for name in names) == 10 * (night + 1)
    assert len(names) < 8


def test_a_lost_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    for content, what in ((b"", "cut off"), (b"no numbers", "pickled")):
        (tmp_path / "ids-0.npy").write_bytes(content)
        with pytest.raises(ValueError, match=what):
            IdIndex.load(tmp_path, ["ids-0.npy"])
    with pytest.raises(OSError, match=r"ids-1\.npy"):
        IdIndex.load(tmp_path, ["ids-1.npy"])
