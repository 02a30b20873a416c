"""Negative controls: each protection is switched off once, to see that the check finds what is then wrong."""

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from jobs.houses.schema import AVERAGES
from jobs.houses.stream import QueryName
from lakehouse.core import restart_policy
from lakehouse.errors import LakeError
from lakehouse.events import rules
from lakehouse.ops.rebuild import rebuild
from lakehouse.sinks import history
from lakehouse.streaming import checkpoints, query, runner, start_checks
from lakehouse.streaming.sidecar import Sidecar
from lakehouse.tables import table_io
from tests.audit import crashes, oracle
from tests.audit.looks import averages, conservation, fail_at
from tests.sites import Site

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800), pytest.mark.usefixtures("calm")]


def plain_append(frame: Any, table: Any, app_id: str, batch_id: int) -> None:
    """Without transaction ids, as Spark's documentation writes it."""
    frame.select(*table.columns).write.format("delta").mode("append").save(str(table.path))


def test_control_without_transaction_ids_a_replayed_batch_is_stored_twice(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_io, "append_batch", plain_append)
    monkeypatch.setattr(
        start_checks, "refuse_foreign_or_old_checkpoint", lambda start, before: None
    )  # it, too, would refuse: no batch is recorded
    fail_at(monkeypatch, ["history.appended:1"])
    run(QueryName.history, most=crashes.IN_TWO)
    assert any("history holds" in line and "twice" in line for line in conservation(site))


def test_control_with_a_fixed_transaction_id_a_new_checkpoint_loses_records(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "app_id", lambda generation, query: query)
    monkeypatch.setattr(
        start_checks, "check", lambda start: Sidecar(start.depends_on, start.topics.ids, starts=start.topics.starts)
    )
    run(QueryName.history, most=crashes.IN_TWO)
    shutil.rmtree(checkpoints.path("houses", "history"))
    site.send(40)
    run(QueryName.history, most=200)
    assert any("history holds" in line and "not at all" in line for line in conservation(site))


def test_control_without_the_guard_against_the_future_one_event_silences_all_windows(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    time_rules = rules.time_rules
    monkeypatch.setattr(rules, "time_rules", lambda *given: time_rules(*given)[:1])
    run(QueryName.averages, most=crashes.IN_TWO)
    assert any("averages differ" in line for line in averages(site))
    sales = sum(row["sales"] for row in table_io.read(AVERAGES).to_pylist())
    assert sales < sum(site.suite.decode(message) is not None for message in oracle.records(site))


def test_control_reading_from_the_latest_offset_loses_what_was_there(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = query.read_topics

    def latest(spark: Any, servers: str, starts: Any, most: int) -> Any:
        return read(spark, servers, dict.fromkeys(starts, -1), most)  # -1 is Spark's word for it

    monkeypatch.setattr(runner, "read_topics", latest)
    run(QueryName.history, most=crashes.IN_TWO)
    assert any("history holds" in line and "not at all" in line for line in conservation(site))


def test_control_an_upsert_that_adds_counts_sales_again(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = table_io.upsert

    def add(delta: Any, data: pa.Table, keys: Sequence[str], app_id: str, version: int, bound: str = "") -> bool:
        before = {tuple(row[key] for key in keys): row["sales"] for row in table_io.read(AVERAGES).to_pylist()}
        sales = [row["sales"] + before.get(tuple(row[key] for key in keys), 0) for row in data.to_pylist()]
        data = data.set_column(data.column_names.index("sales"), "sales", pa.array(sales, pa.int64()))
        return upsert(delta, data, keys, app_id, version, bound)

    monkeypatch.setattr(table_io, "upsert", add)
    run(QueryName.averages, most=crashes.IN_TWO)
    assert any("averages differ" in line for line in averages(site))


def test_control_without_the_filter_a_rebuild_doubles_what_a_torn_batch_had_written(
    site: Site, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart_policy, "MAX_FAILURES", 1)
    fail_at(monkeypatch, ["history.appended:1"])
    with pytest.raises(LakeError, match="failed at"):
        run(QueryName.history, most=crashes.IN_TWO)
    rebuild("houses.history", False)
    monkeypatch.setattr(history, "without_stored", lambda frame, batch, stores: frame)
    run(QueryName.history, most=crashes.IN_TWO)
    assert any("history holds" in line and "twice" in line for line in conservation(site))
