"""What a streaming checkpoint on disk says: offsets read and watermark of each batch. No JVM needed.

A checkpoint folder holds `metadata` (the query's id), `offsets/<batch>` (written before a batch runs) and
`commits/<batch>` (written after it). An offsets file has a version line, a JSON line with `batchWatermarkMs`, and one
JSON line per source: {topic: {partition: next offset}}.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakehouse.kafka.offset_ranges import Offsets
from lakehouse.settings import settings

SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"
STATE_STORE = "spark.sql.streaming.stateStore.providerClass"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class BatchPlan:
    """A batch as its offsets file plans it: next offset of each (topic, partition) and the watermark it runs with."""

    batch_id: int
    ends: Offsets
    watermark: datetime | None


def path(domain: str, query: str) -> Path:
    """The checkpoint folder of a query."""
    return settings().checkpoints / domain / query


def generation(checkpoint: Path) -> str:
    """The id of the checkpoint, given when it was made; another checkpoint has another id."""
    return str(json.loads((checkpoint / "metadata").read_text())["id"])


def app_id(generation: str, query: str) -> str:
    """The name by which Delta's log records a query's writes; with another checkpoint it is another name."""
    return f"{generation}:{query}"


def plan(checkpoint: Path, batch_id: int) -> BatchPlan:
    """What batch `batch_id` reads up to; batch -1 reads nothing."""
    if batch_id < 0:
        return BatchPlan(-1, {}, None)
    _version, metadata, *sources = (checkpoint / "offsets" / str(batch_id)).read_text().splitlines()
    millis = json.loads(metadata).get("batchWatermarkMs", 0)
    ends = {
        (topic, int(partition)): offset
        for source in sources
        if source != "-"
        for topic, partitions in json.loads(source).items()
        for partition, offset in partitions.items()
    }
    return BatchPlan(batch_id, ends, EPOCH + timedelta(milliseconds=millis) if millis else None)


def exists(checkpoint: Path) -> bool:
    """Whether there is a checkpoint: it has an id, or batches."""
    return (checkpoint / "metadata").exists() or bool(_batch_ids(checkpoint / "offsets"))


def last_planned(checkpoint: Path) -> BatchPlan | None:
    """The newest batch that has been planned, committed or not; None when there is none yet."""
    planned = _batch_ids(checkpoint / "offsets")
    return plan(checkpoint, max(planned)) if planned else None


def state_partitions(checkpoint: Path) -> int | None:
    """How many partitions the query's state has: as many as at its first start. None without state."""
    partitions = _state_setting(checkpoint, SHUFFLE_PARTITIONS)
    return int(partitions) if partitions else None


def state_store(checkpoint: Path) -> str | None:
    """The class that keeps the query's state: the one of its first start. None without state."""
    return _state_setting(checkpoint, STATE_STORE)


def _state_setting(checkpoint: Path, name: str) -> str | None:
    """A setting that the first start fixed: Spark writes it into each offsets file and takes it from there."""
    planned = _batch_ids(checkpoint / "offsets")
    if not planned or not (checkpoint / "state").is_dir():
        return None
    metadata = (checkpoint / "offsets" / str(max(planned))).read_text().splitlines()[1]
    value = json.loads(metadata).get("conf", {}).get(name)
    return str(value) if value else None


def damage(checkpoint: Path) -> str:
    """What is wrong with the files that the next start rests on, as a phrase naming the file; empty when nothing is."""
    if not exists(checkpoint):
        return ""
    try:
        generation(checkpoint)
    except FileNotFoundError:
        return f"{checkpoint / 'metadata'} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{checkpoint / 'metadata'} is cut off"
    planned, done = _batch_ids(checkpoint / "offsets"), _batch_ids(checkpoint / "commits")
    for part, batches in (("offsets", planned), ("commits", done)):
        for batch_id in sorted(batches)[-2:]:
            if not _whole(checkpoint / part / str(batch_id)):
                return f"{checkpoint / part / str(batch_id)} is cut off"
    if done and max(done) not in planned:
        return f"{checkpoint / 'offsets' / str(max(done))} is missing"
    return ""


def discard(checkpoint: Path) -> None:
    """Delete the checkpoint. A reader, or the start after a crash, finds all of it or nothing."""
    aside = checkpoint.with_name(f".{checkpoint.name}.discarded")
    shutil.rmtree(aside, ignore_errors=True)
    if checkpoint.exists():
        checkpoint.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _whole(file: Path) -> bool:
    """Whether the file has its version line and whole lines of JSON, as Spark writes them."""
    version, *lines = file.read_text(errors="replace").splitlines() or [""]
    try:
        return version.startswith("v") and bool(lines) and all(line == "-" or json.loads(line) != [] for line in lines)
    except ValueError:
        return False


def last_committed(checkpoint: Path) -> BatchPlan | None:
    """The newest batch that has been committed; None when there is none yet."""
    done = _batch_ids(checkpoint / "commits")
    return plan(checkpoint, max(done)) if done else None


def _batch_ids(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(file.name) for file in folder.iterdir() if file.name.isdigit()]
