"""The tables that every domain has, each made from what differs between domains."""

from collections.abc import Mapping, Sequence

from lakehouse.contract.tables import HISTORY_PROPERTIES, SERVING_PROPERTIES, Table

COORDINATES = {"topic": "STRING", "partition": "INT", "offset": "BIGINT", "recorded_at": "TIMESTAMP"}
RECORD_KEY = ("topic", "partition", "offset")
BATCH_KEY = ("generation", "batch_id", "topic", "partition")
# The batch that last changed a row of the speed layer.
ORIGIN = {"generation": "STRING", "batch_id": "BIGINT", "updated_at": "TIMESTAMP"}
# covered_*: the newest speed batch whose records the row includes; a speed row of a later batch is served instead.
RECOMPUTED = {
    "covered_generation": "STRING",
    "covered_batch_id": "BIGINT",
    "history_version": "BIGINT",
    "recomputed_at": "TIMESTAMP",
}


def history(domain: str, columns: Mapping[str, str], searched_by: Sequence[str], about: str) -> Table:
    """Every valid event with its coordinates; `lake maintain` sorts it by the first column of `searched_by`.

    Only what is searched by gets statistics: on all columns they cost each small write more than the rows do.
    """
    statistics = ",".join([*searched_by, "recorded_at", "partition", "offset"])
    properties = {**HISTORY_PROPERTIES, "delta.dataSkippingStatsColumns": statistics}
    columns, sorted_by = {**columns, **COORDINATES}, tuple(searched_by[:1])
    return Table(domain, "history", columns, RECORD_KEY, about, properties, clustered_by=sorted_by)


def dead_letters(domain: str, about: str) -> Table:
    """Every record that is not a valid event, with its reason."""
    columns = {**COORDINATES, "reason": "STRING", "key": "BINARY", "value": "BINARY"}
    return Table(domain, "dead_letters", columns, RECORD_KEY, about, HISTORY_PROPERTIES)


def speed_table(
    domain: str,
    name: str,
    columns: Mapping[str, str],
    keys: tuple[str, ...],
    about: str,
    partition_by: tuple[str, ...],
) -> Table:
    """A table that a speed query updates in every batch; a batch rewrites only the partitions that it changes."""
    columns = {**columns, **ORIGIN}
    return Table(domain, name, columns, keys, about, SERVING_PROPERTIES, partition_by, writer="deltalake")


def batch_log(domain: str, query: str, note: str = "") -> Table:
    """What each batch of a speed query has read."""
    columns = {
        "generation": "STRING",
        "batch_id": "BIGINT",
        "topic": "STRING",
        "partition": "INT",
        "start_offset": "BIGINT",
        "end_offset": "BIGINT",
        "watermark": "TIMESTAMP",
        "committed_at": "TIMESTAMP",
    }
    about = f"batch log of the {query} query: offsets read (end exclusive){note}"
    return Table(domain, f"{query}_batches", columns, BATCH_KEY, about, SERVING_PROPERTIES, writer="deltalake")


def is_batch_log(table: Table) -> bool:
    """Whether the table says what batches have read, and nothing of the domain."""
    return table.keys == BATCH_KEY


def batch_table(domain: str, name: str, columns: Mapping[str, str], keys: tuple[str, ...], about: str) -> Table:
    """A table that is recomputed from the whole history."""
    return Table(domain, name, {**columns, **RECOMPUTED}, keys, about, HISTORY_PROPERTIES)


def is_recomputed(table: Table) -> bool:
    """Whether the table is of the batch layer."""
    return RECOMPUTED.keys() <= table.columns.keys()


def parity(domain: str, columns: Mapping[str, str], keys: tuple[str, ...], about: str) -> Table:
    """Speed rows compared with recomputed ones; `cause` says why they differ."""
    columns = {**columns, "cause": "STRING", "recomputed_at": "TIMESTAMP"}
    return Table(domain, "parity", columns, keys, about, HISTORY_PROPERTIES)
