"""What `lake status` and the pages read of the processes, also from the file of an older version."""

import json
import os
from dataclasses import astuple
from datetime import UTC, datetime

import psutil
import pytest

from lakehouse.core import run_state
from lakehouse.core.run_state import LakeRecord, ProcessRecord
from lakehouse.core.states import ProcessState
from lakehouse.ops import status
from lakehouse.ops.status import ProcessView, process_views

pytestmark = pytest.mark.usefixtures("lake")
KEYS = {"running", "processes", "bootstrap_servers", "dashboard_url", "spark_ui_urls", "lake_root", "domains"}
KEYS |= {"queries"}
PROCESS_KEYS = {"name", "pid", "state", "restarts", "started_at", "last_error", "memory_mb", "queries"}


def test_processes_keep_their_order_and_a_vanished_one_is_stopped() -> None:
    assert process_views() == ()
    own = {"name": "kafka", "pid": os.getpid(), "create_time": psutil.Process().create_time(), "state": "running"}
    gone = {"name": "stream", "pid": 2**22 + 1, "create_time": 1.0, "state": "running", "restarts": 2}
    done = {"name": "load", "pid": None, "create_time": None, "state": "finished"}
    run_state.write_json(run_state.processes_file(), {"processes": [own, gone, done]})
    assert process_views() == (
        ProcessView("kafka", ProcessState.RUNNING, pid=os.getpid()),
        ProcessView("stream", ProcessState.STOPPED, restarts=2, pid=2**22 + 1),
        ProcessView("load", ProcessState.FINISHED),
    )


def test_what_is_written_is_read_again_with_its_format() -> None:
    stream = ProcessRecord(
        "houses.stream", 7, 1.5, 2, ProcessState.BACKING_OFF, 3, "2026-05-01", "it hurt", ("houses.averages",)
    )
    lake = LakeRecord(5, 2.5, "2026-05-01", ("houses",), "127.0.0.1:9092", "http://127.0.0.1:8050", (stream,))
    run_state.write_lake(lake)
    assert json.loads(run_state.processes_file().read_text())["format"] == 1
    assert run_state.read_lake() == lake


def test_an_address_is_in_the_file_once_it_is_known() -> None:
    run_state.write_lake(LakeRecord(5, 2.5))
    assert not {"bootstrap_servers", "dashboard_url"} & run_state.read_json(run_state.processes_file()).keys()


def test_the_file_of_a_version_without_formats_is_read() -> None:
    old = {"supervisor_pid": 5, "supervisor_create_time": 2.5, "domains": ["houses"], "bootstrap_servers": None}
    listed = [{"name": "kafka", "pid": 7, "create_time": 1.5, "state": "running", "stop_signal": 15, "of": "later"}]
    run_state.write_json(run_state.processes_file(), old | {"processes": listed})
    known = ProcessRecord("kafka", 7, 1.5, state=ProcessState.RUNNING)
    assert run_state.read_lake() == LakeRecord(5, 2.5, domains=("houses",), processes=(known,), format=0)


def test_of_many_partitions_the_sum_and_the_ten_furthest_behind_are_shown() -> None:
    rows = [
        {"topic": topic, "partition": part, "start": 1, "end": 100, "lag": {"history": part, "totals": None}}
        for topic, parts in (("few", 10), ("many", 100))
        for part in range(parts)
    ]
    shown = status.shown_rows(rows)
    assert shown[:10] == rows[:10]
    whole = {"topic": "many", "partition": "all 100", "start": 100, "end": 10_000}
    assert shown[10] == whole | {"lag": {"history": 4950, "totals": None}}
    assert shown[11:] == rows[-10:]


def test_json_has_the_keys_it_has_always_had() -> None:
    own = ProcessRecord("kafka", os.getpid(), psutil.Process().create_time(), state=ProcessState.RUNNING)
    run_state.write_lake(LakeRecord(own.pid, own.create_time, "2026-05-01", ("houses",), processes=(own,)))
    run_state.write_spark_ui("houses", "http://127.0.0.1:4040")
    shown = json.loads(json.dumps(status.read_status().to_dict()))
    assert (set(shown), shown["running"], shown["domains"]) == (KEYS, True, ["houses"])
    assert [(set(each), each["name"], each["state"]) for each in shown["processes"]] == [
        (PROCESS_KEYS, "kafka", "running"),
        (PROCESS_KEYS, "lake up", "running"),
    ]
    assert shown["spark_ui_urls"] == {"houses": "http://127.0.0.1:4040"}


def test_each_query_is_shown_with_the_process_that_runs_it() -> None:
    """Several domains may share a process. A query that was refused is shown while the others run."""
    alive = {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "state": ProcessState.RUNNING}
    stream = ProcessRecord("stream", queries=("houses.averages", "production.totals", "production.history"), **alive)
    gone = ProcessRecord("other.stream", 2**22 + 1, 1.0, state=ProcessState.RUNNING, queries=("other.history",))
    run_state.write_lake(LakeRecord(alive["pid"], alive["create_time"], processes=(stream, gone)))
    reports = {
        "houses.averages": {"state": "refused", "error": "Its checkpoint is gone.", "last_error": "…"},
        "production.totals": {"state": "running", "error": "", "last_error": "It failed once."},
        "other.history": {"state": "running", "error": ""},
    }
    for name, values in reports.items():
        run_state.write_json(run_state.progress_file(*name.split(".")), values)
    assert [astuple(query) for query in status.read_status().queries] == [
        ("houses.averages", "stream", "refused", "Its checkpoint is gone."),
        ("production.totals", "stream", "running", ""),
        ("production.history", "stream", "not started", ""),
        ("other.history", "other.stream", "stopped", ""),
    ]
    assert status.query_errors(stream.queries) == {"houses.averages": "Its checkpoint is gone."}


def test_what_an_earlier_process_has_reported_is_not_the_state_of_the_new_one() -> None:
    file = run_state.progress_file("houses", "averages")
    run_state.write_json(file, {"state": "refused", "error": "Its checkpoint is gone."})
    written = file.stat().st_mtime
    alive = {"pid": os.getpid(), "create_time": psutil.Process().create_time(), "state": ProcessState.STARTING}
    shown = [
        status.query_status(
            "houses.averages", ProcessRecord("stream", started_at=datetime.fromtimestamp(at, UTC).isoformat(), **alive)
        )
        for at in (written - 5, written + 5)
    ]
    assert [(query.state, query.error) for query in shown] == [
        ("refused", "Its checkpoint is gone."),
        ("not started", ""),
    ]


def test_a_query_is_found_in_the_process_of_a_version_that_wrote_no_queries() -> None:
    shared = ProcessView("stream", ProcessState.RUNNING, queries=("houses.averages",))
    assert status.process_of("houses.averages", [shared]) is shared
    assert status.process_of("houses.history", [shared]) is None
    old = [ProcessView("kafka", ProcessState.RUNNING), ProcessView("houses.stream", ProcessState.RUNNING)]
    assert status.process_of("houses.averages", old) is old[1]
    assert status.process_of("production.totals", old) is None
