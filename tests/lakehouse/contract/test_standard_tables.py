"""The tables that every domain has: what lakes were written with, whatever the factories become."""

from lakehouse.contract import standard_tables as tables
from lakehouse.contract.topics import event_topic

AT = "`topic` STRING, `partition` INT, `offset` BIGINT, `recorded_at` TIMESTAMP"
LOG = "`start_offset` BIGINT, `end_offset` BIGINT, `watermark` TIMESTAMP, `committed_at` TIMESTAMP"
COVERED = "`covered_generation` STRING, `covered_batch_id` BIGINT, `history_version` BIGINT, `recomputed_at` TIMESTAMP"


def test_columns_come_in_the_order_in_which_they_are_stored() -> None:
    made = [
        tables.history("line", {"id": "STRING"}, ["id"], "events"),
        tables.dead_letters("line", "no events"),
        tables.speed_table("line", "units", {"day": "DATE"}, ("day",), "units", ("day",)),
        tables.batch_log("line", "units"),
        tables.batch_table("line", "units_batch", {"day": "DATE"}, ("day",), "units again"),
        tables.parity("line", {"day": "DATE"}, ("day",), "both"),
    ]
    assert {table.name: table.ddl for table in made} == {
        "history": f"`id` STRING, {AT}",
        "dead_letters": f"{AT}, `reason` STRING, `key` BINARY, `value` BINARY",
        "units": "`day` DATE, `generation` STRING, `batch_id` BIGINT, `updated_at` TIMESTAMP",
        "units_batches": f"`generation` STRING, `batch_id` BIGINT, `topic` STRING, `partition` INT, {LOG}",
        "units_batch": f"`day` DATE, {COVERED}",
        "parity": "`day` DATE, `cause` STRING, `recomputed_at` TIMESTAMP",
    }
    assert {table.name for table in made if table.writer == "deltalake"} == {"units", "units_batches"}


def test_history_has_statistics_on_what_it_is_searched_by() -> None:
    history = tables.history("line", {"id": "STRING", "text": "STRING"}, ["id"], "events")
    assert history.properties["delta.dataSkippingStatsColumns"] == "id,recorded_at,partition,offset"


def test_an_event_topic_limits_size_and_age_of_its_records() -> None:
    assert dict(event_topic("line", 4, "events").config) == {
        "max.message.bytes": str(4 * 1024 * 1024),
        "compression.type": "uncompressed",
        "message.timestamp.after.max.ms": str(5 * 60 * 1000),
        "message.timestamp.before.max.ms": str(24 * 60 * 60 * 1000),
    }
