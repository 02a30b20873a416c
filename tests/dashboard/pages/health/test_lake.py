"""What the Health page shows of dead letters, Delta tables and processes, from real tables and files."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from dashboard.live.health import HealthView, HealthWatch, lags_of, partition_lags_of, topic_key
from dashboard.live.snapshot import Live
from dashboard.pages.health import lake as health_lake
from jobs.houses import schema
from lakehouse.core import run_state
from lakehouse.settings import settings
from lakehouse.streaming import progress_metrics
from lakehouse.streaming.progress_metrics import Recorder
from lakehouse.tables import loads
from tests.dashboard.pages.health import health_fakes
from tests.dashboard.pages.health.test_queries import NOW, TOPIC, fields, words

Write = Callable[..., None]
MARKUP = b"<img src=x onerror=window.harm=1>"


@pytest.fixture
def watch(lake: Path) -> HealthWatch:
    return HealthWatch([schema.DOMAIN])


def dead(offset: int, reason: str, value: bytes | None = MARKUP) -> dict[str, Any]:
    at = datetime(2026, 5, 1, 12, 0, offset, tzinfo=UTC)
    row = {"topic": "houses", "partition": 0, "offset": offset, "recorded_at": at}
    return row | {"reason": reason, "value": value}


def test_an_empty_lake_has_a_sentence_for_every_part(watch: HealthWatch) -> None:
    view = watch.look()
    assert health_lake.dead_letters_state(view).state == "empty"
    assert "lake up" in words(health_lake.tables_state(view).notice)
    assert health_lake.processes_state(view).state == "empty"
    assert "not made yet" in words(health_lake.tables_table(view))


def test_a_lake_that_cannot_be_written_to_is_shown_without_recording_its_lags(watch: HealthWatch, lake: Path) -> None:
    health_fakes.checkpoint("history")
    health_fakes.progress("history")
    (settings().run / "metrics/lag.lock").mkdir(parents=True)  # a folder cannot be opened to write, even by root
    view = watch.look()
    assert (len(view.lags["houses.history"].at), len(view.queries)) == (0, 2)
    assert [file.name for file in (settings().run / "metrics").iterdir()] == ["lag.lock"]


def test_dead_letters_are_counted_by_reason_with_the_newest_sample(watch: HealthWatch, write: Write) -> None:
    write(schema.DEAD_LETTERS, dead(1, "no price"), dead(2, "no price", b'{"a": 1}'), dead(3, "no id", None))
    write(schema.DEAD_LETTERS, dead(4, "no price", b"y" * 5000), dead(5, "<b>bad</b>"))
    view = watch.look()
    assert health_lake.dead_letters_state(view).state == "ready"
    frame = view.dead_letters["houses"].frame.set_index("reason")
    assert frame["count"].to_dict() == {"no price": 3, "no id": 1, "<b>bad</b>": 1}
    assert frame.loc["no price", "offset"] == 4
    assert frame.loc["no price", "sample"] == "y" * 2048 + " …"
    table = health_lake.dead_letters_table(view)
    assert fields(table, "reason=no price")["newest"] == "2026-05-01T12:00:04+00:00"
    assert MARKUP.decode() in words(table)
    assert "null" in words(table)


def test_dead_letters_are_read_file_by_file_and_again_only_after_a_compaction(
    watch: HealthWatch, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    real = loads.read_file
    monkeypatch.setattr(
        loads, "read_file", lambda table, path, columns: read.append(path) or real(table, path, columns)
    )

    def counts() -> dict[str, int]:
        frame = watch.look().dead_letters["houses"].frame
        assert frame["count"].sum() == DeltaTable(schema.DEAD_LETTERS.path).to_pyarrow_table().num_rows
        return dict(zip(frame["reason"], frame["count"], strict=True))

    write(schema.DEAD_LETTERS, dead(1, "no price"), dead(2, "no id"))
    assert counts() == {"no price": 1, "no id": 1}
    write(schema.DEAD_LETTERS, dead(3, "no id"))
    assert counts() == {"no id": 2, "no price": 1}
    assert len(read) == len(set(read)) == 2
    DeltaTable(schema.DEAD_LETTERS.path).optimize.compact()
    assert counts() == {"no id": 2, "no price": 1}
    assert len(read) == 3


def test_dead_letters_that_cannot_be_read_are_an_error_and_what_was_read_is_kept(
    watch: HealthWatch, write: Write, lake: Path
) -> None:
    write(schema.DEAD_LETTERS, dead(1, "no price"))
    watch.look()
    (lake / "lake/houses/dead_letters/_delta_log/00000000000000000002.json").write_text("broken")
    (lake / "lake/houses/dead_letters/_delta_log/00000000000000000001.json").touch()
    tile = health_lake.dead_letters_state(watch.look())
    assert (tile.state, "cannot be read" in str(tile.notice)) == ("stale", True)


def test_tables_are_what_delta_says(watch: HealthWatch, write: Write, sale: Callable[..., Any]) -> None:
    write(schema.HISTORY, sale(1), sale(2))
    write(schema.HISTORY, sale(3))
    delta = DeltaTable(schema.HISTORY.path)
    view = watch.look()
    row = fields(health_lake.tables_table(view), "table=houses.history")
    assert (row["version"], row["files"], row["rows"]) == (str(delta.version()), str(len(delta.file_uris())), "3")
    assert int(row["bytes"]) == sum(file.stat().st_size for file in schema.HISTORY.path.glob("*.parquet"))
    assert "WRITE" in words(health_lake.tables_table(view))
    reading = {name: reading for _, name, reading in view.tables}["history"]
    assert {name: reading for _, name, reading in watch.look().tables}["history"] is reading  # not read again
    write(schema.HISTORY, sale(4))
    assert fields(health_lake.tables_table(watch.look()), "table=houses.history")["rows"] == "4"


def test_processes_have_their_memory_and_their_last_error(watch: HealthWatch) -> None:
    health_fakes.processes(restarts=2, last_error="exit code 1: <b>it hurt</b>")
    run_state.write_json(run_state.spark_file("houses"), {"ui": "http://127.0.0.1:4040"})
    watch.measure()
    view = watch.look()
    body = health_lake.processes_body(view)
    row = fields(body, "process=houses.stream")
    assert (row["state"], row["pid"], row["restarts"]) == ("running", str(os.getpid()), "2")
    assert int(row["memory_mb"]) > 20
    assert "<b>it hurt</b>" in words(body)
    assert "http://127.0.0.1:4040" in words(body)


def test_an_address_that_is_no_web_page_is_no_link(watch: HealthWatch) -> None:
    run_state.write_json(run_state.spark_file("houses"), {"ui": "javascript:alert(1)"})
    assert watch.look().spark_uis == {}


def test_a_part_that_stays_keeps_its_stamp(watch: HealthWatch, write: Write) -> None:
    first = watch.look().stamps
    assert watch.look().stamps == first
    write(schema.DEAD_LETTERS, dead(1, "no price"))
    second = watch.look().stamps
    assert {part for part in first if first[part] != second[part]} == {"dead_letters", "tables"}


def test_lags_are_recorded_while_no_driver_lives_and_by_one_dashboard_only(
    watch: HealthWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for query in ("averages", "history"):
        health_fakes.checkpoint(query)
    other = HealthWatch([schema.DOMAIN])
    monkeypatch.setattr(HealthWatch, "_topic", lambda *_: TOPIC)
    view = [watch.look(), watch.look()][1]
    assert view.queries[0].state == "stopped"
    assert lags_of(view, "houses.averages", "lag", 60) == [3.0]
    assert partition_lags_of(view, "houses.averages", ("houses", 0)) == [3.0]
    assert lags_of(view, "houses.averages", topic_key("houses"), 60) == [3.0]
    other.look()
    lines = [file.read_text() for file in progress_metrics.folder("houses.averages.lag").glob("*.jsonl")]
    assert sum(part.count("\n") for part in lines) == 1


def test_the_lag_of_a_version_before_is_read(watch: HealthWatch) -> None:
    """It had each partition in the series of the totals."""
    Recorder("houses.averages.lag").record({"lag": 7, "houses:0": 3, "houses:1": 4})
    view = watch.look()
    assert lags_of(view, "houses.averages", "lag", 60) == [7.0]
    assert partition_lags_of(view, "houses.averages", ("houses", 0)) == []


def test_what_a_driver_recorded_is_in_the_view(watch: HealthWatch) -> None:
    Recorder("houses.averages").record({"input": 20.25})
    assert watch.look().rates["houses.averages"].column("input").tolist() == [20.25]


def test_a_watch_that_hangs_is_stalled(watch: HealthWatch) -> None:
    seen = watch.look()
    soon = watch.current(seen.taken_at)
    assert soon is seen
    late = watch.current(NOW.replace(year=2100))
    assert late is not None
    assert (late.stalled, late.as_of()) == (True, seen.taken_at)
    assert set(late.stamps.values()).isdisjoint(seen.stamps.values())


def test_the_snapshot_is_a_new_one_when_the_health_has_changed(lake: Path, write: Write) -> None:
    live = Live(())
    assert live.refresh().health is None
    live.health.look()
    first = live.refresh()
    assert isinstance(first.health, HealthView)
    live.health.look()
    assert live.refresh().version == first.version
    write(schema.DEAD_LETTERS, dead(1, "no price"))
    live.health.look()
    assert live.refresh().version != first.version


def test_a_reason_that_is_missing_is_said(watch: HealthWatch, write: Write) -> None:
    write(schema.DEAD_LETTERS, {"topic": "houses", "reason": None, "value": b"x"})
    table = health_lake.dead_letters_table(watch.look())
    assert "no reason" in words(table)
