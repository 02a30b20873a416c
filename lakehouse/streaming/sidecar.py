"""A file beside each checkpoint: what its state rests on, which checkpoint it belongs to, where its reading began.

Spark itself would mix old state with a new plan, and would take any checkpoint for the right one.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from lakehouse.core import files, run_state

Partitions = dict[int, int]


@dataclass(frozen=True)
class Sidecar:
    """What is known of a checkpoint beyond its own files.

    `generation` is its id, empty until its first batch; `starts` the first offset of each partition that batch 0
    reads; records below `held_until` may be in the tables already, since a rebuild reads some of them again.
    """

    depends_on: dict[str, str]
    generation: str = ""
    starts: Partitions = field(default_factory=dict)
    held_until: Partitions = field(default_factory=dict)


def file(checkpoint: Path) -> Path:
    """Where the sidecar of a checkpoint is."""
    return checkpoint.with_suffix(".json")


def read(checkpoint: Path) -> Sidecar | None:
    """The sidecar; None when there is none, or none that can be read."""
    found = run_state.read_json(file(checkpoint))
    if not found:
        return None
    if "depends_on" not in found:  # as written before there were generations
        return Sidecar({name: str(value) for name, value in found.items()})
    partitions = ({int(at): offset for at, offset in found.get(name, {}).items()} for name in ("starts", "held_until"))
    return Sidecar(found["depends_on"], found.get("generation", ""), *partitions)


def write(checkpoint: Path, sidecar: Sidecar) -> None:
    """Replace the sidecar; it outlasts a crash of the machine."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(file(checkpoint), asdict(sidecar))


def recorded(checkpoint: Path) -> dict[str, str]:
    """What the checkpoint was recorded to depend on; empty when nothing was recorded."""
    found = read(checkpoint)
    return found.depends_on if found else {}
