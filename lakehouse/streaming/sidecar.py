"""A file beside each checkpoint: what its state rests on, which checkpoint it belongs to, where its reading began.

Spark itself would mix old state with a new plan, and would take any checkpoint for the right one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lakehouse.core import files, records, run_state

FORMAT = 1
Partitions = dict[int, int]


@dataclass(frozen=True)
class Sidecar:
    """What is known of a checkpoint beyond its own files.

    `generation` is its id, empty until its first batch; `starts` the first offset of each partition that batch 0
    reads; records below `stored_until` may be in the tables already, since a rebuild reads some of them again.
    """

    depends_on: dict[str, str]
    generation: str = ""
    starts: Partitions = field(default_factory=dict)
    stored_until: Annotated[Partitions, Field(alias="held_until")] = field(default_factory=dict)


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
    records.check_format(values, FORMAT, f"The file {file(checkpoint)}")
    if "depends_on" not in values:  # as written before there were generations
        return Sidecar({name: str(value) for name, value in values.items()})
    return records.from_dict(Sidecar, values)


def write(checkpoint: Path, sidecar: Sidecar) -> None:
    """Replace the sidecar; it outlasts a crash of the machine."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(file(checkpoint), {"format": FORMAT, **records.to_dict(sidecar)})


def recorded(checkpoint: Path) -> dict[str, str]:
    """What the checkpoint was recorded to depend on; empty when nothing was recorded."""
    sidecar = read(checkpoint)
    return sidecar.depends_on if sidecar else {}
