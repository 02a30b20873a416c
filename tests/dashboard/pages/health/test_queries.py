"""What the Health page shows of queries, topics and their history."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from dash.development.base_component import Component

from dashboard.live.broker import TopicView, together
from dashboard.live.health import HealthView
from dashboard.live.queries import PartitionLag, QueryHealth, query_health, seconds_of
from dashboard.pages.health import history, partitions, queries
from dashboard.ui import sparkline
from lakehouse.core.states import ProcessState, QueryState
from lakehouse.kafka.peek import Peeked, shown
from lakehouse.ops.status import ProcessView
from lakehouse.streaming import checkpoints, lag
from lakehouse.streaming.progress_metrics import History
from tests.dashboard.pages.health import health_fakes

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ENDS = ((("houses", 0), 100), (("houses", 1), 50))
TOPIC = TopicView("houses", 150, 1.0, ENDS, ((("houses", 0), 10), (("houses", 1), 0)))
PARTS = (PartitionLag("houses", 0, 97, 100, 3), PartitionLag("houses", 1, 50, 50, 0))
RUNNING = QueryState.RUNNING
AVERAGES = QueryHealth("houses", "averages", RUNNING, "0 seconds", 9, 20.25, 40.5, 0.45, partitions=PARTS, lag=3)
HISTORY = QueryHealth("houses", "history", RUNNING, "10 seconds", 4, 20.0, 14.0, 12.0, 10.0, partitions=PARTS, lag=3)
UPDATES = TopicView("updates", 7, 0.5, ((("updates", 0), 7),), ((("updates", 0), 2),))
VIEW = HealthView(NOW, (AVERAGES, HISTORY), {"houses": (TOPIC, UPDATES)})


def fields(component: Any, row: str) -> dict[str, dict[str, Any]]:
    """The cells of the row whose data-<name> is given as name=value: what is shown and its exact value."""
    name, value = row.split("=", 1)
    rows = [part for part in walk(component) if part._type == "Tr"]
    found = next(row for row in rows if getattr(row, f"data-{name}", None) == value)
    cells = [cell for cell in found.children if hasattr(cell, "data-field")]
    return {getattr(cell, "data-field"): getattr(cell, "data-value", None) for cell in cells}


def walk(component: Any) -> Iterator[Component]:
    for part in component if isinstance(component, list) else [component]:
        if isinstance(part, Component):
            yield part
            yield from walk(getattr(part, "children", None) or [])


def words(component: Any) -> str:
    return json.dumps([part.to_plotly_json() for part in walk(component)], default=str)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("first", "end", "unread"), [(10, 300, 0.7), (0, 300, None), (90, 110, 0.65), (10, 150, None), (120, 130, 1.0)]
)
def test_a_query_from_which_retention_is_about_to_take_records_is_shown(
    first: int, end: int, unread: float | None
) -> None:
    health_fakes.checkpoint("averages", ends={"houses": {"0": 97}})
    topic = TopicView("houses", end, 1.0, ((("houses", 0), end),), ((("houses", 0), first),))
    health = query_health("houses", "averages", topic, None, NOW)
    assert health.unread == unread
    shown_now = words(queries.queries_table(replace(VIEW, queries=(health,))))
    assert ("Retention is near" in shown_now) is (unread is not None)


@pytest.mark.usefixtures("lake")
def test_a_query_is_put_together_from_checkpoint_progress_broker_and_supervisor() -> None:
    health_fakes.checkpoint("averages", watermark_ms=1_777_636_740_000)
    health_fakes.progress("averages", NOW)
    process = ProcessView("houses.stream", ProcessState.RUNNING, restarts=2, last_error="exit code 1: it hurt")
    health = query_health("houses", "averages", TOPIC, process, NOW)
    assert health == QueryHealth(
        "houses", "averages", RUNNING, "0 seconds", 9, 20.25, 40.5, 0.45, 10.0, PARTS, 3,
        NOW - timedelta(minutes=1), 24, 9376, (("addBatch", 300), ("triggerExecution", 450)), 2,
        "exit code 1: it hurt", NOW - timedelta(seconds=1),
    )  # fmt: skip


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("seconds", "supervised", "error", "state"),
    [
        (1, None, "", "running"),
        (60, None, "", "stopped"),
        (60, "running", "", "silent"),
        (1, "stopped", "", "stopped"),  # its process is gone: known before the silence is
        (1, "backing off", "", "restarting"),
        (60, "starting", "", "restarting"),
        (60, "failed", "", "failed"),
        (1, None, "Query houses.averages stopped: it hurt", "failed"),
    ],
)
def test_the_state_of_a_query(seconds: int, supervised: str | None, error: str, state: str) -> None:
    health_fakes.checkpoint("averages")
    health_fakes.progress("averages", NOW - timedelta(seconds=seconds), error=error)
    process = ProcessView("houses.stream", ProcessState(supervised)) if supervised else None
    health = query_health("houses", "averages", TOPIC, process, NOW)
    assert (health.state, health.last_error) == (state, error)
    assert (health.input_rate is None) == (state != "running")


@pytest.mark.usefixtures("lake")
def test_a_query_that_its_own_process_starts_again() -> None:
    process = ProcessView("houses.stream", ProcessState.RUNNING, restarts=1)
    health_fakes.checkpoint("averages")
    failures = {"restarts": 2, "last_error": "it hurt"}
    health_fakes.progress("averages", NOW, state="backing off", error="it hurt", **failures)
    health = query_health("houses", "averages", TOPIC, process, NOW)
    assert (health.state, health.restarts, health.last_error) == ("restarting", 3, "it hurt")
    assert query_health("houses", "averages", TOPIC, process, NOW + timedelta(minutes=1)).state == "failed"
    assert (
        query_health("houses", "averages", TOPIC, replace(process, state=ProcessState.STOPPED), NOW).state == "failed"
    )
    health_fakes.progress("averages", NOW, state="failed", error="it hurt", **failures)
    assert query_health("houses", "averages", TOPIC, process, NOW).state == "failed"
    health_fakes.progress("averages", NOW, state="refused", error="it hurt", **failures)
    refused = query_health("houses", "averages", TOPIC, process, NOW)
    assert (refused.state, refused.tone, refused.last_error) == ("refused", "error", "it hurt")
    health_fakes.progress("averages", NOW, state="running", **failures)
    health = query_health("houses", "averages", TOPIC, process, NOW)
    assert (health.state, health.last_error) == ("running", "it hurt")


@pytest.mark.usefixtures("lake")
def test_a_query_far_behind_is_catching_up_and_one_that_never_ran_is_not_started() -> None:
    far = replace(TOPIC, ends=((("houses", 0), 9_000),), rate=1.0)
    assert query_health("houses", "averages", far, None, NOW).state == "not started"
    health_fakes.checkpoint("averages")
    health_fakes.progress("averages", NOW)
    assert query_health("houses", "averages", far, None, NOW).state == "catching up"


@pytest.mark.usefixtures("lake")
def test_a_damaged_checkpoint_is_an_error_of_its_query() -> None:
    health_fakes.checkpoint("averages")
    (checkpoints.path("houses", "averages") / "offsets/9").write_text("v1")
    health = query_health("houses", "averages", TOPIC, None, NOW)
    assert (health.state, health.last_error) == ("failed", "The checkpoint of houses/averages cannot be read.")


@pytest.mark.usefixtures("lake")
def test_lag_is_unknown_while_the_broker_is_silent() -> None:
    health_fakes.checkpoint("averages")
    health = query_health("houses", "averages", replace(TOPIC, error="gone"), None, NOW)
    assert (health.lag, [part.lag for part in health.partitions]) == (None, [None, None])


def test_the_pace_of_a_query_in_seconds() -> None:
    given = ("0 seconds", "10 seconds", "500 milliseconds", "2 minutes", "1 hour", "available-now", "")
    assert [seconds_of(one) for one in given] == [0, 10, 0.5, 120, 3600, 0, 0]


def test_the_table_of_queries_holds_unrounded_values() -> None:
    row = fields(queries.queries_table(VIEW), "query=houses.averages")
    assert (row["input"], row["processed"], row["seconds"], row["lag"]) == ("20.25", "40.5", "0.45", "3")
    assert (row["state"], row["batch"]) == ("running", "9")


def test_the_latency_of_a_query_in_real_time_mode() -> None:
    fast = replace(AVERAGES, trigger="real-time 60 seconds", latency_ms=(4.2, 12.4))
    table = queries.queries_table(replace(VIEW, queries=(fast, HISTORY)))
    rows = [fields(table, f"query=houses.{name}")["latency"] for name in ("averages", "history")]
    assert rows == ["12.4", None]
    assert json.dumps("4 · 12 ms") in words(table)
    assert queries.pace(fast.trigger) == "real-time 60 s"


def test_a_batch_longer_than_its_pace_is_over() -> None:
    over = queries.batch_bar(HISTORY).to_plotly_json()["props"]
    within = queries.batch_bar(AVERAGES).to_plotly_json()["props"]
    assert (over["data-load"], over["data-value"], within["data-load"]) == ("over", 1.2, "within")


def test_the_last_error_is_shown_as_text_under_its_query() -> None:
    view = replace(VIEW, queries=(replace(AVERAGES, last_error="<b>it hurt</b>", state=QueryState.FAILED),))
    row = next(part for part in walk(queries.queries_table(view)) if hasattr(part, "data-error-of"))
    assert "<b>it hurt</b>" in words(row)


def test_no_query_at_all_names_the_command_and_a_silent_broker_is_said() -> None:
    never = replace(VIEW, queries=(QueryHealth("houses", "averages"),))
    assert queries.queries_state(never).state == "empty"
    assert "lake up" in words(queries.queries_state(never).notice)
    silent = replace(VIEW, topics={"houses": (replace(TOPIC, error="The Kafka broker does not answer."),)})
    assert queries.queries_state(silent)[0] == "ready"
    assert "Lag is unknown" in str(queries.queries_state(silent).notice)


def test_a_thread_that_hangs_makes_the_tiles_as_old_as_its_last_look() -> None:
    assert queries.queries_state(VIEW).as_of == "live"
    assert queries.queries_state(replace(VIEW, stalled=True)).as_of == NOW.isoformat()


def test_a_topic_sums_its_partitions_and_has_the_lag_of_each_query() -> None:
    rows = queries.topic_rows(VIEW, False, {})
    houses = fields(rows, "topic=houses")
    assert houses == {"partition": "2", "start": "10", "end": "150", "retained": "140", "rate": "1.0", "lag": "3"}
    assert "history " in words(rows[0])
    assert "no query reads it" in words(rows[1])


def test_topics_are_sorted_as_asked_and_unknown_numbers_come_last() -> None:
    def order(column: str, down: bool) -> list[str]:
        return [getattr(row, "data-topic") for row in queries.topic_rows(VIEW, False, {"column": column, "down": down})]

    assert order("end", True) == ["houses", "updates"]
    assert order("end", False) == ["updates", "houses"]
    assert order("lag", False) == order("lag", True) == ["houses", "updates"]
    assert order("no such column", False) == ["houses", "updates"]


def test_each_partition_can_be_shown() -> None:
    rows = queries.topic_rows(VIEW, True, {"column": "end", "down": True})
    assert [getattr(row.children[3], "data-value") for row in rows] == ["100", "50", "7"]


def many(topics: int, partitions: int) -> HealthView:
    """A view of four queries that read as many topics of as many partitions."""
    names = [f"topic-{number}" for number in range(topics)]
    parts = tuple(PartitionLag(name, part, 10, 10 + part, part) for name in names for part in range(partitions))
    ends = {name: tuple(((name, part), 10 + part) for part in range(partitions)) for name in names}
    reading = [
        QueryHealth("houses", f"query-{number}", RUNNING, partitions=parts, lag=sum(part.lag or 0 for part in parts))
        for number in range(4)
    ]
    views = tuple(TopicView(name, 10, 1.0, ends[name]) for name in names)
    return HealthView(NOW, tuple(reading), {"houses": views})


def test_of_many_partitions_each_topic_and_the_ten_furthest_behind_are_shown() -> None:
    view = many(topics=7, partitions=100)
    shown = [
        getattr(row, "data-partition", None) for row in walk(partitions.partitions_table(view)) if row._type == "Tr"
    ]
    each = [f"topic-{number}:all 100" for number in range(7)]
    assert shown[1:8] == each
    assert len(shown) == 1 + 4 * (7 + 10)
    whole = fields(partitions.partitions_table(view), "partition=topic-3:all 100")
    assert (whole["read"], whole["end"], whole["lag"]) == ("1000", "5950", "4950")
    assert {place.rsplit(":", 1)[1] for place in shown[8:18]} == {"98", "99"}
    assert len(queries.topic_rows(view, False, {})) == 7
    assert len(queries.topic_rows(view, True, {})) == 70


def test_partitions_of_the_same_number_are_not_taken_for_one_another() -> None:
    view = many(topics=2, partitions=3)
    behind = replace(
        view.queries[0], partitions=(*view.queries[0].partitions[:5], PartitionLag("topic-1", 2, 5, 12, 7))
    )
    view = replace(view, queries=(behind, *view.queries[1:]))
    assert fields(partitions.partitions_table(view), "partition=topic-0:2")["lag"] == "2"
    assert fields(partitions.partitions_table(view), "partition=topic-1:2")["lag"] == "7"
    lags = [getattr(row.children[-1], "data-value") for row in queries.topic_rows(view, True, {})]
    assert lags == ["0", "1", "2", "0", "1", "7"]


@pytest.mark.usefixtures("lake")
def test_a_query_of_two_topics_is_behind_in_both() -> None:
    health_fakes.checkpoint("averages", ends={"houses": {"0": 97, "1": 50}, "updates": {"0": 4}})
    found = query_health("houses", "averages", together([TOPIC, UPDATES]), None, NOW)
    assert (found.lag, lag.by_topic(found.lags)) == (6, {"houses": 3, "updates": 3})
    silent = together([TOPIC, replace(UPDATES, error="gone")])
    assert query_health("houses", "averages", silent, None, NOW).lag is None


def test_topics_while_the_broker_is_silent() -> None:
    never = TopicView("houses", error="The Kafka broker does not answer.")
    assert queries.topics_state(replace(VIEW, topics={"houses": (never,)})).state == "error"
    assert queries.topics_state(replace(VIEW, topics={"houses": (replace(TOPIC, error="gone"),)})).state == "stale"
    missing = TopicView("houses", error="The broker has no topic houses yet.")
    assert queries.topics_state(replace(VIEW, topics={"houses": (missing,)})).state == "empty"


def test_a_message_is_text_set_out_and_cut() -> None:
    assert shown(b'{"a":{"b":"<b>"}}') == '{\n "a": {\n  "b": "<b>"\n }\n}'
    assert shown(b"\xffno json") == "\\xffno json"
    assert len(shown(b"x" * 10_000)) == 2048 + 2
    message = Peeked(1, 7, NOW, "k", "<img src=x onerror=alert(1)>", 28)
    assert "<img src=x onerror=alert(1)>" in words(queries.messages("houses", [message]))
    assert "tombstone" in words(queries.messages("houses", [replace(message, value=None)]))
    assert "No message" in words(queries.messages("houses", []))


def test_a_spark_line_has_gaps_and_says_itself_in_words() -> None:
    line = sparkline.sparkline([0.0, 10.0, None, 5.0, 5.0], "Lag")
    drawing = unquote(line.style["--sparkline"])
    assert drawing.count("M") == 2
    assert line.title == "Lag: lowest 0, highest 10, now 5"
    assert sparkline.sparkline([None, 3.0], "Lag").children == "–"
    assert unquote(sparkline.sparkline([float(n) for n in range(1000)], "Lag").style["--sparkline"]).count("L") < 60


@pytest.mark.usefixtures("lake")
def test_the_history_is_broken_where_nobody_measured() -> None:
    before = [(ago, {"input": 20.0, "processed": 50.0, "seconds": 0.5}) for ago in range(600, 400, -5)]
    after = [(ago, {"input": 30.0, "processed": 50.0, "seconds": 0.75}) for ago in range(100, 0, -5)]
    health_fakes.history("houses.averages", iter(before + after))
    series = History("houses.averages").read()
    until = datetime.now(UTC)
    times, values = history.line_points(series, "input", until.timestamp() - 900, until.timestamp())
    assert len(times) == len(values) <= history.POINTS + 1
    assert set(values) == {20.0, 30.0, None}
    assert 22 <= values.count(None) <= 26  # 305 s in steps of 12.5 s
    view = replace(VIEW, taken_at=until, rates={"houses.averages": series})
    row = fields(history.summary(view, ["houses.averages"], 900), "summary=houses.averages")
    assert (row["lag"], row["input"], row["processed"], row["seconds"]) == (None, "23.333", "50.0", "0.75")
    assert 300 <= float(row["silent"] or 0) <= 330
    lag, rate, seconds = history.figures(view, ["houses.averages"], 900, "dark")
    assert [len(drawn["data"]) for drawn in (lag, rate, seconds)] == [1, 2, 1]
    assert max(value for value in seconds["data"][0]["y"] if value) == 0.75


def test_without_any_sample_the_history_names_the_command() -> None:
    assert history.history_state(VIEW).state == "empty"
