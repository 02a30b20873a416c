"""What `lake status` and the pages read of the processes, also from the file of an older version."""

import json
import os

import psutil
import pytest

from lakehouse.core import run_state
from lakehouse.core.run_state import LakeRecord, ProcessRecord
from lakehouse.core.states import ProcessState
from lakehouse.ops import status
from lakehouse.ops.status import ProcessView, process_views

pytestmark = pytest.mark.usefixtures("lake")
KEYS = {"running", "processes", "bootstrap_servers", "dashboard_url", "spark_ui_urls", "lake_root", "domains"}
PROCESS_KEYS = {"name", "pid", "state", "restarts", "started_at", "last_error", "memory_mb"}


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
    stream = ProcessRecord("houses.stream", 7, 1.5, 2, ProcessState.BACKING_OFF, 3, "2026-05-01", "it hurt")
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
