"""A file beside each checkpoint that says what its state rests on; Spark itself would mix old state with a new plan."""

from pathlib import Path

from lakehouse import state
from lakehouse.errors import RefusedError


def recorded(checkpoint: Path) -> dict[str, str]:
    """What the checkpoint was recorded to depend on; empty when nothing was recorded."""
    return state.read_json(checkpoint.with_suffix(".json"))


def check(checkpoint: Path, query: str, depends_on: dict[str, str]) -> None:
    """Record what a new checkpoint depends on. Raises RefusedError when an existing one was made for something else."""
    before = recorded(checkpoint)
    if not (checkpoint / "metadata").exists() or not before:
        state.write_json(checkpoint.with_suffix(".json"), depends_on)
        return
    changed = {name: (before.get(name), value) for name, value in depends_on.items() if before.get(name) != value}
    if not changed:
        return
    what = ", ".join(f"{name} was {old!r} and is now {new!r}" for name, (old, new) in changed.items())
    raise RefusedError(
        f"Query {query} cannot go on from its checkpoint: {what}.",
        f"Start it as before, or begin anew with `lake reset {query.split('.', 1)[0]}`.",
    )
