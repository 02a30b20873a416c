"""What the houses page and the overview say of a snapshot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder

from dashboard.live.domain_view import DomainView
from dashboard.live.snapshot import Live
from dashboard.pages import overview
from dashboard.pages.houses import live_view, parity, source
from dashboard.ui import event_grid, flow, layers_tile
from dashboard.ui.flow import Links
from jobs.houses import schema
from lakehouse.core.states import ProcessState
from lakehouse.ops.status import ProcessView
from lakehouse.settings import settings

Write = Callable[..., None]
Build = Callable[..., dict[str, Any]]


@pytest.fixture
def look(lake: Path) -> Callable[[], DomainView]:
    """The view of the lake as it is now."""
    live = Live([source.SOURCE])
    return lambda: live.refresh().domains["houses"]


def as_json(component: Component | list[Component]) -> str:
    return json.dumps(component, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_last_window_of_each_decade_is_its_own(look: Any, write: Write, average: Build) -> None:
    write(schema.AVERAGES, average(0, 1980), average(1, 1980, 300.0), average(0, 1990, 400.0, is_final=False))
    last = live_view.last_windows(look().served)
    assert last[["decade", "avg_price", "is_final"]].values.tolist() == [[1980, 300.0, True], [1990, 400.0, False]]


def test_the_caption_counts_what_is_still_filling(look: Any, write: Write, average: Build) -> None:
    write(schema.AVERAGES, average(1, 1980, sales=1200), average(1, 1990, is_final=False))
    caption = live_view.caption(live_view.last_windows(look().served))
    assert caption == "Window 2026-05-01 12:02–12:04 UTC · 1,202 sales · 1 of 2 still filling"


def test_the_table_has_the_unrounded_numbers(look: Any, write: Write, average: Build) -> None:
    write(schema.AVERAGES, average(0, 1990, price=123456.789, sales=3))
    table = as_json(live_view.last_window_table(live_view.last_windows(look().served).assign(band=12_345.6)))
    assert '"data-decade": "1990"' in table
    assert '"data-value": "123456.789"' in table
    assert "$123,457" in table
    assert "± $12,346" in table


def test_rows_for_the_browser_name_window_state_and_layer(
    look: Any, write: Write, average: Build, recomputed: Build
) -> None:
    write(schema.AVERAGES, average(0), average(1, is_final=False))
    write(schema.AVERAGES_BATCH, recomputed(0, price=90.5))
    assert live_view.window_rows(look().served) == [
        ["2026-05-01T12:02:00+00:00", 1990, 500_000.0, 2, "provisional", "speed"],
        ["2026-05-01T12:00:00+00:00", 1990, 90.5, 2, "final", "batch"],
    ]


def test_the_busiest_decades_are_drawn_until_some_are_picked(look: Any, write: Write, average: Build) -> None:
    write(schema.AVERAGES, *[average(0, 1900 + 10 * number, sales=number + 1) for number in range(6)])
    served = look().served
    assert live_view.picked(served, None) == [1950, 1940, 1930, 1920]
    assert live_view.picked(served, ["1900", "none"]) == [1900]


def test_the_quiet_note_waits_for_a_window_without_a_sale(look: Any, write: Write, average: Build, sale: Build) -> None:
    write(schema.HISTORY, sale(0))
    write(schema.AVERAGES, average(0, is_final=False))
    view = look()
    assert '"data-show-after": "2026-05-01T12:02:00+00:00"' in as_json(live_view.quiet_note(view, view.served))
    write(schema.AVERAGES, average(1, 1980))
    final = view.served.assign(is_final=True)
    assert "data-show-after" not in as_json(live_view.quiet_note(view, final))


def test_an_empty_lake_names_the_command_that_fills_it(look: Any) -> None:
    state = live_view.windows_state(look())
    assert state.state == "empty"
    assert "./spark-submit.sh jobs/houses/produce.py" in as_json(list(state.notice))


def test_a_table_that_breaks_is_stale_with_its_last_rows(look: Any, write: Write, average: Build, lake: Path) -> None:
    write(schema.AVERAGES, average(0))
    assert live_view.windows_state(look()).state == "ready"
    (lake / "lake/houses/averages/_delta_log/00000000000000000002.json").write_text("broken")
    view = look()
    assert (live_view.windows_state(view).state, len(view.served)) == ("stale", 1)


def test_the_feed_is_newest_first_with_plain_values(look: Any, write: Write, sale: Build) -> None:
    write(schema.HISTORY, sale(1), sale(2, id="<img src=x>", zipcode=None))
    rows = live_view.feed_rows(look().reading(source.SALES).frame, {"house1": 550_000.0, "<img src=x>": None})
    assert rows["key"].tolist() == [f"houses-0-2-{rows['recorded'][0]}", f"houses-0-1-{rows['recorded'][1]}"]
    assert rows.iloc[0][["id", "price", "built", "zip"]].tolist() == ["<img src=x>", 500_000.0, "1990s · 1994", "–"]
    assert rows[["predicted", "off"]].values.tolist() == [[None, None], [550_000.0, 0.1]]
    json.dumps(event_grid.transaction(rows, []))


def test_only_what_is_new_is_sent_and_only_what_is_old_removed() -> None:
    rows = pd.DataFrame({"key": ["c", "b"], "id": [3, 2]})
    change = event_grid.transaction(rows, ["b", "a"])
    assert change == {"add": [{"key": "c", "id": 3}], "addIndex": 0, "remove": [{"key": "a"}], "async": True}
    assert event_grid.transaction(rows, ["c", "b"]) is None


def test_rows_already_shown_are_sent_again_when_the_model_is_another() -> None:
    rows = pd.DataFrame({"key": ["b"], "predicted": [3.0]})
    change = event_grid.transaction(rows, ["b"], renew=True)
    assert change == {"add": [], "addIndex": 0, "remove": [], "async": True, "update": [{"key": "b", "predicted": 3.0}]}


def test_agreement_is_a_sentence_with_the_causes(look: Any, write: Write, compared: Build) -> None:
    write(schema.PARITY, compared(0), compared(1, "late and resent", 3, -5.0), compared(2, "late", None))
    view = look()
    assert layers_tile.agreement(view.parity) == "1 of 3 windows agree; 2 differ by late, resent"
    body = as_json(parity.body(view))
    assert "-$5" in body
    assert "no row" in body


def test_full_agreement_has_no_causes(look: Any, write: Write, compared: Build) -> None:
    write(schema.PARITY, compared(0), compared(1))
    assert layers_tile.agreement(look().parity) == "2 of 2 windows agree"


def test_an_empty_flow_is_off_and_says_so(look: Any) -> None:
    shown = as_json(flow.drawing(look(), Links()))
    assert shown.count('"not started"') == 2
    assert "never run" in shown
    assert "no answer" in shown


def test_the_overview_counts_history_and_dead_letters(look: Any, write: Write, sale: Build) -> None:
    nowhere = {"topic": None, "partition": None, "offset": None, "recorded_at": None}
    write(schema.HISTORY, sale(1), sale(2), sale(3) | nowhere)
    dead = [sale(number) | {"reason": reason} for number, reason in ((1, "bad"), (2, "bad"), (3, "worse"))]
    write(
        schema.DEAD_LETTERS,
        *[{name: row[name] for name in ("topic", "partition", "offset", "recorded_at", "reason")} for row in dead],
    )
    shown = as_json(overview.kpis(look(), Links()))
    assert "2 streamed" in shown
    assert "2 × bad; 1 × worse" in shown


def test_processes_are_listed_with_their_trouble() -> None:
    shown = as_json(
        overview.processes(
            [ProcessView("kafka", ProcessState.RUNNING), ProcessView("stream", ProcessState.FAILED, 1, "no disk")]
        )
    )
    assert "failed, 1 restart: no disk" in shown
    assert overview.processes([]) == []


def test_postgresql_is_off_until_it_runs_unless_it_is_somebody_elses(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = ProcessView("postgres", ProcessState.RUNNING)
    assert [overview.postgres_state(views) for views in ([], [running])] == ["not running", "running"]
    monkeypatch.setenv("LAKE_POSTGRES_DSN", "host=db dbname=plant")
    settings.cache_clear()
    assert overview.postgres_state([]) == "your own"


def test_the_overview_tells_how_far_the_layers_agree(look: Any, write: Write, compared: Build) -> None:
    assert "never recomputed" in as_json(overview.kpis(look(), Links()))
    write(schema.PARITY, compared(0, "late"), compared(1), compared(2), compared(3))
    shown = as_json(overview.kpis(look(), Links()))
    assert ('"data-value": "0.75"' in shown, "75.0 %" in shown, "of 4 windows" in shown) == (True, True, True)
