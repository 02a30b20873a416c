"""What a recomputation leaves to the next one, beside the checkpoints: <checkpoints>/<domain>/recompute."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.core import files, records, run_state
from lakehouse.errors import NewerFormatError
from lakehouse.kafka.offset_ranges import Offsets, TopicPartition
from lakehouse.settings import settings
from lakehouse.streaming.id_index import IdIndex

FORMAT = 1
Listed = tuple[tuple[str, int, int], ...]  # topic, partition, offset: as JSON has offsets


@dataclass(frozen=True)
class State:
    """The recomputation that the batch table rests on.

    `rests_on` names parameters, contract and code. `ends` is the offset after the last record of each partition in the
    pinned tables, `read` that after the last one in the batch log, whose batches are of `generations`.
    """

    rests_on: str
    history_id: str
    history_version: int
    history_rows: int
    letters_id: str
    letters_version: int
    batch_rows: int
    ends: Listed
    read: Listed
    generations: tuple[str, ...]
    ids: tuple[str, ...]
    counts: str


def folder(domain: str) -> Path:
    """Where the domain's state is."""
    return settings().checkpoints / domain / "recompute"


def read(domain: str) -> State | None:
    """The state; None when there is none that can be read, or a newer version wrote it."""
    values = run_state.read_json(folder(domain) / "state.json")
    try:
        records.check_format(values, FORMAT, "The state of the recomputation")
        return records.from_dict(State, values)
    except (NewerFormatError, ValueError):
        return None


def discard(domain: str) -> None:
    """Forget the state, so that a recomputation that fails half way is followed by a full one."""
    (folder(domain) / "state.json").unlink(missing_ok=True)


def load(domain: str, state: State) -> tuple[IdIndex, pa.Table]:
    """Index of ids, late and resent events. Raises OSError or ValueError when a file is lost or damaged."""
    where = folder(domain)
    return IdIndex.load(where, state.ids), pq.read_table(where / state.counts)


def save(domain: str, version: int, index: IdIndex, counts: pa.Table) -> tuple[tuple[str, ...], str]:
    """Write index and counts under names of their own; returns the names, for the state."""
    where, name = folder(domain), f"counts-{version}.parquet"
    where.mkdir(parents=True, exist_ok=True)
    pq.write_table(counts, where / name)
    return index.save(where, version), name


def write(domain: str, state: State) -> None:
    """Replace the state, then delete the files that it does not name."""
    where = folder(domain)
    for name in (*state.ids, state.counts):
        files.sync(where / name)
    files.replace_json(where / "state.json", {"format": FORMAT, **records.to_dict(state)})
    for file in where.iterdir():
        if file.name not in {"state.json", *state.ids, state.counts}:
            file.unlink()


def listed(offsets: Offsets) -> Listed:
    """Offsets as the state has them."""
    return tuple((topic, partition, at) for (topic, partition), at in sorted(offsets.items()))


def by_partition(offsets: Listed) -> dict[TopicPartition, int]:
    """Offsets of the state by topic and partition."""
    return {(topic, partition): at for topic, partition, at in offsets}


def later(one: Offsets, other: Offsets) -> dict[TopicPartition, int]:
    """Of each partition the later offset."""
    return {where: max(one.get(where, 0), other.get(where, 0)) for where in {*one, *other}}
