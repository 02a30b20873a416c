"""A file beside each checkpoint: what its state rests on, which checkpoint it belongs to, where its reading began.

Spark itself would mix old state with a new plan, and would take any checkpoint for the right one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.core import files, records, run_state
from lakehouse.kafka.offset_ranges import Offsets

FORMAT = 2
ByTopic = dict[str, dict[int, int]]  # topic and partition: how JSON has offsets
_OFFSETS = ("starts", "stored_until", "former_until")
_TOPIC, _TOPIC_ID = "topic", "topic id"  # of the one topic, in `depends_on` up to format 1


@dataclass(frozen=True)
class Sidecar:
    """What is known of a checkpoint beyond its own files.

    `topic_ids` are the topics that it reads, by name; an id is empty where it is not known. `generation` is the
    checkpoint's id, empty until its first batch; `starts` the first offset of each partition that batch 0 reads.
    Records below `stored_until` may be in the tables already, since a rebuild reads some of them again.
    `former_topic_ids` are topics that it read before a rebuild: their rows may still be in the tables.
    `reading` is the number of the rules by which it reads events, and records below `former_until` were read by others:
    event_reading.py.
    """

    depends_on: dict[str, str] = field(default_factory=dict)
    topic_ids: dict[str, str] = field(default_factory=dict)
    generation: str = ""
    starts: Offsets = field(default_factory=dict)
    stored_until: Offsets = field(default_factory=dict)
    former_topic_ids: dict[str, str] = field(default_factory=dict)
    reading: int = 1
    former_until: Offsets = field(default_factory=dict)


@dataclass(frozen=True)
class _Stored:
    """A sidecar as its file has it."""

    depends_on: dict[str, str]
    topic_ids: dict[str, str] = field(default_factory=dict)
    generation: str = ""
    starts: ByTopic = field(default_factory=dict)
    stored_until: ByTopic = field(default_factory=dict)
    former_topic_ids: dict[str, str] = field(default_factory=dict)
    reading: int = 1
    former_until: ByTopic = field(default_factory=dict)


def file(checkpoint: Path) -> Path:
    """Where the sidecar of a checkpoint is."""
    return checkpoint.with_suffix(".json")


def read(checkpoint: Path) -> Sidecar | None:
    """The sidecar; None when there is none, or none that can be read.

    Raises RefusedError when a newer version wrote it.
    """
    values = run_state.read_json(file(checkpoint))
    if not values:
        return None
    if records.check_format(values, FORMAT, f"The file {file(checkpoint)}") < FORMAT:
        values = _of_one_topic(values)
    stored = records.from_dict(_Stored, values)
    return Sidecar(**vars(stored) | {name: _flat(getattr(stored, name)) for name in _OFFSETS})


def write(checkpoint: Path, sidecar: Sidecar) -> None:
    """Replace the sidecar; it outlasts a crash of the machine."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    by_topic = {name: _nested(getattr(sidecar, name)) for name in _OFFSETS}
    stored = _Stored(**vars(sidecar) | by_topic)
    files.replace_json(file(checkpoint), {"format": FORMAT, **records.to_dict(stored)})


def recorded(checkpoint: Path) -> dict[str, str]:
    """What the checkpoint was recorded to depend on; empty when nothing was recorded."""
    sidecar = read(checkpoint)
    return sidecar.depends_on if sidecar else {}


def _of_one_topic(values: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file up to format 1: offsets by partition of the one topic. The oldest are all `depends_on`."""
    if "depends_on" not in values:
        values = {"depends_on": {name: str(value) for name, value in values.items()}}
    depends_on = dict(values["depends_on"])
    topic, topic_id = depends_on.pop(_TOPIC, ""), depends_on.pop(_TOPIC_ID, "")
    return {
        "depends_on": depends_on,
        "topic_ids": {topic: topic_id} if topic else {},
        "generation": values.get("generation", ""),
        "starts": {topic: values.get("starts") or {}},
        "stored_until": {topic: values.get("held_until") or {}},
    }


def _flat(offsets: ByTopic) -> Offsets:
    return {(topic, partition): at for topic, parts in offsets.items() for partition, at in parts.items()}


def _nested(offsets: Offsets) -> ByTopic:
    nested: ByTopic = {}
    for (topic, partition), offset in sorted(offsets.items()):
        nested.setdefault(topic, {})[partition] = offset
    return nested
