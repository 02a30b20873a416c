"""One snapshot for all tiles: versioned, bounded, and alive when a part of it is not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dashboard.live import snapshot
from dashboard.live.broker import TopicView
from dashboard.live.snapshot import Live
from dashboard.live.source import Readings, Source
from dashboard.pages.houses import source
from dashboard.ui import event_grid
from jobs.houses import schema
from lakehouse.contract.domain import Domain, QueryTables
from lakehouse.contract.runs import Job, Process
from lakehouse.errors import LakeError
from lakehouse.tables import loads, served_layer

Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]


@pytest.fixture
def live(lake: Path) -> Live:
    return Live([source.SOURCE])


def test_an_empty_lake_is_a_snapshot_too(live: Live) -> None:
    view = live.refresh().domains["houses"]
    assert (view.speed.state, view.history.state, len(view.served)) == ("empty", "empty", 0)
    assert live.refresh().fresh_at() is None


def test_the_version_changes_only_when_something_has(live: Live, write: Write, sale: Build) -> None:
    first = live.refresh().version
    assert live.refresh().version == first
    write(schema.HISTORY, sale(1))
    second = live.refresh().version
    assert second != first
    assert live.refresh().version == second


def test_another_process_has_other_versions(live: Live) -> None:
    assert live.refresh().version != Live([source.SOURCE]).refresh().version


def test_the_batch_row_is_served_and_an_open_window_is_not_frozen(
    live: Live, write: Write, average: Build, recomputed: Build
) -> None:
    write(schema.AVERAGES, average(0, price=100.0), average(1, price=100.0, batch_id=5, is_final=False))
    write(schema.AVERAGES_BATCH, recomputed(0, price=90.0), recomputed(1, price=90.0))
    served = live.refresh().domains["houses"].served
    assert served[["avg_price", "layer", "is_final"]].values.tolist() == [
        [90.0, "batch", True],
        [100.0, "speed", False],
    ]


def test_only_recent_windows_are_kept(lake: Path, write: Write, average: Build) -> None:
    layers = source.SOURCE.layers
    assert layers is not None
    live = Live([replace(source.SOURCE, layers=replace(layers, span=timedelta(hours=1)))])
    write(schema.AVERAGES, *[average(number) for number in range(100)])
    view = live.refresh().domains["houses"]
    assert (view.speed.total, len(view.served)) == (100, 31)


def test_the_feed_is_bounded_and_the_total_is_not(live: Live, write: Write, sale: Build) -> None:
    write(schema.HISTORY, *[sale(number) for number in range(300)])
    history = live.refresh().domains["houses"].history
    assert (history.total, len(history.frame)) == (300, event_grid.ROWS)


def test_a_damaged_table_is_an_error_of_its_part_only(
    live: Live, write: Write, average: Build, sale: Build, lake: Path
) -> None:
    write(schema.AVERAGES, average(0))
    write(schema.HISTORY, sale(1))
    (lake / "lake/houses/averages/_delta_log/00000000000000000000.json").write_text("broken")
    view = live.refresh().domains["houses"]
    assert (view.speed.state, view.history.state) == ("error", "ready")
    assert view.topic.error


def test_pages_see_the_snapshot_in_force(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "_live", Live(()))
    assert snapshot.view("houses") is None
    snapshot.use(live)
    live.refresh()
    assert snapshot.view("houses") is live.snapshot.domains["houses"] if live.snapshot else False


def test_what_a_page_lives_on_besides_is_read_once_and_makes_a_new_version(lake: Path) -> None:
    looks: list[int] = []

    def count(_readings: Readings) -> int:
        looks.append(0)
        return len(looks) // 3

    live = Live([replace(source.SOURCE, values={"count": count})])
    versions = [live.refresh().version for _ in range(3)]
    assert (len(looks), versions[0] == versions[1], versions[1] == versions[2]) == (3, True, False)


def test_a_part_that_cannot_be_read_does_not_stop_the_others(lake: Path) -> None:
    live = Live([replace(source.SOURCE, values={"bad": lambda _: 1 / 0, "good": lambda _: 7})])
    assert live.refresh().domains["houses"].values == {"bad": None, "good": 7}


def test_layers_that_cannot_be_joined_say_so_and_do_not_stop_the_other_domains(
    lake: Path, write: Write, average: Build
) -> None:
    def serve(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
        if len(speed) != 1:
            raise KeyError("no column decade")
        return served_layer.served(speed, batch, keys)

    assert source.SOURCE.layers
    own = replace(source.SOURCE, layers=replace(source.SOURCE.layers, serve=serve))
    live = Live([own, Source(replace(SMALL, name="other"))])
    first = live.refresh()
    assert set(first.domains) == {"houses", "other"}
    houses = first.domains["houses"]
    assert (houses.speed.state, houses.batch.state, len(houses.served)) == ("error", "error", 0)
    assert {"window_start", "decade", "layer"} <= set(houses.served)
    assert houses.speed.error == (
        "`serve` cannot choose between the rows of houses.averages and averages_batch: KeyError: 'no column decade'. "
        "Correct `layers` in dashboard/pages/houses/source.py."
    )
    assert live.refresh().version == first.version
    write(schema.AVERAGES, average(0, price=100.0))
    mended = live.refresh().domains["houses"]
    assert (mended.speed.state, mended.batch.error, mended.served["avg_price"].tolist()) == ("ready", "", [100.0])
    write(schema.AVERAGES, average(1))
    kept = live.refresh().domains["houses"]
    assert (kept.speed.state, kept.speed.total, kept.served["avg_price"].tolist()) == ("error", 2, [100.0])


def test_a_domain_that_was_never_used_is_left_out_while_another_is(live: Live, write: Write, sale: Build) -> None:
    taken = live.refresh()
    used = replace(taken.domains["houses"], topics={"houses": TopicView("houses", events=3)})
    assert taken.used() == {"houses"}  # none was used: all of them
    never = replace(used, topics={"other": TopicView("other")})
    assert replace(taken, domains={"houses": used, "other": never}).used() == {"houses"}
    assert replace(taken, domains={"houses": never, "other": never}).used() == {"houses", "other"}
    write(schema.HISTORY, sale(1))  # the broker is silent and nothing runs, but there is something to show
    kept = live.refresh().domains["houses"]
    assert replace(taken, domains={"houses": kept, "other": never}).used() == {"houses"}


SMALL = Domain(
    name="houses",
    title="Only a history",
    topics=(schema.SALES,),
    tables=(schema.HISTORY, schema.DEAD_LETTERS),
    query_tables={"history": QueryTables((schema.SALES,), record_tables=(schema.HISTORY, schema.DEAD_LETTERS))},
    dead_letters=schema.DEAD_LETTERS,
    processes=(Process("stream", Job("stream.py"), ("history",)),),
)


def test_a_domain_with_a_history_alone_has_a_view(lake: Path, write: Write, sale: Build) -> None:
    live = Live([Source(SMALL)])
    assert live.refresh().domains["houses"].used is False
    write(schema.HISTORY, sale(1), sale(2))
    view = live.refresh().domains["houses"]
    assert (view.history.total, view.history.newest_event_at, view.dead_letters.total) == (2, sale(2)["event_at"], 0)
    assert (view.used, view.layers, set(view.queries), set(view.topics)) == (True, None, {"history"}, {"houses"})
    with pytest.raises(LakeError, match="declares no speed and batch layer"):
        _ = view.served


def test_a_reading_has_the_rows_that_its_loader_reads(lake: Path, write: Write, sale: Build) -> None:
    declared = Source(SMALL, {"prices": (schema.HISTORY, loads.newest(1, ("id", "price", *event_grid.COORDINATES)))})
    write(schema.HISTORY, sale(1), sale(2))
    view = Live([declared]).refresh().domains["houses"]
    reading = view.reading(declared.reading("prices"))
    assert (reading.total, reading.frame["id"].tolist(), view.history is reading) == (2, ["house2"], True)


def test_a_name_that_is_not_declared_is_refused_where_the_page_is_imported() -> None:
    with pytest.raises(
        LakeError, match="asks for 'pricez', which is none of the readings of its source: sales, spread"
    ):
        source.SOURCE.reading("pricez")
    with pytest.raises(LakeError, match="none of the values of its source: there are none"):
        source.SOURCE.value("model", int)


def test_a_value_of_another_type_is_none(lake: Path) -> None:
    declared = Source(SMALL, values={"number": lambda _: 7, "text": lambda _: "seven"})
    view = Live([declared]).refresh().domains["houses"]
    assert [view.value(declared.value(name, int)) for name in ("number", "text")] == [7, None]
