"""The processes of an audit: together they say what one alone says, and none outlives the audit, however it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from jobs.houses.schema import DOMAIN, SALES
from lakehouse.audit import inputs, processes
from lakehouse.audit.record_checks import PartitionAudit
from lakehouse.audit.slice_check import Setting
from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import OffsetRange
from lakehouse.settings import ROOT, settings
from tests.e2e.running import wait_for
from tests.jobs.houses.sales import event

pytestmark = pytest.mark.e2e
SENT = 400  # sales, and as many bad events
WAITING = """
import sys
from lakehouse.audit import processes
from tests.e2e.test_audit_processes import jobs, setting
with processes.checking(setting(sys.argv[1]), jobs(sys.argv[1]), 2) as results:
    taken = [next(results) for _ in range(3)]
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def bootstrap_servers(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A topic that no stream has read."""
    monkeypatch.setenv("LAKE_VAR", str(tmp_path / "var"))
    settings.cache_clear()
    topics.ensure(broker, DOMAIN.topics)
    producer = Producer({"bootstrap.servers": broker})
    for number in range(SENT):
        for value in (json.dumps(event(id=str(number + 1), sold_at=None)), "{"):
            producer.produce(SALES.name, value, b"k", partition=number % 4)
    assert producer.flush(30) == 0
    yield broker
    settings.cache_clear()


def setting(servers: str) -> Setting:
    return Setting("houses", servers, -1, -1, ("yr_built", "price", "event_at"))


def jobs(servers: str) -> list[list[PartitionAudit]]:
    """All that the topic has, fifty records at a time."""
    parts = inputs.pin("houses", servers).partitions.values()
    every = [part.part(OffsetRange(at, min(at + 50, part.end))) for part in parts for at in range(0, part.end, 50)]
    return [[part] for part in every]


def test_together_they_say_what_one_alone_says(bootstrap_servers: str) -> None:
    found = []
    for helpers in (0, 2):
        with processes.checking(setting(bootstrap_servers), jobs(bootstrap_servers), helpers) as results:
            found.append(
                {number: [(one.audit.waiting, one.audit.gaps, one.decoded) for one in each] for number, each in results}
            )
    assert found[0] == found[1]
    assert sum(waiting for each in found[0].values() for waiting, _gaps, _rows in each) == 2 * SENT
    assert sum(rows.num_rows for each in found[0].values() for _waiting, _gaps, rows in each) == SENT
    assert not helpers_of(os.getpid())


def test_a_helper_that_is_killed_ends_the_audit_with_a_sentence(bootstrap_servers: str) -> None:
    with (
        pytest.raises(LakeError, match=r"one of its processes was killed"),
        processes.checking(setting(bootstrap_servers), jobs(bootstrap_servers), 2) as results,
    ):
        next(results)
        for helper in helpers_of(os.getpid()):
            helper.kill()
        list(results)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name)
def test_no_process_outlives_the_audit(bootstrap_servers: str, sent: signal.Signals) -> None:
    command = [sys.executable, "-c", WAITING, bootstrap_servers]
    audit = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        assert audit.stdout is not None
        assert audit.stdout.readline() == b"ready\n"
        helpers = helpers_of(audit.pid)
        assert len(helpers) == 2
        if sent is signal.SIGINT:
            os.killpg(audit.pid, sent)  # as a terminal does
        else:
            audit.send_signal(sent)
        _out, errors = audit.communicate(timeout=60)
        wait_for(lambda: not any(helper.is_running() for helper in helpers), 30, "the end of the helpers")
        assert errors.count(b"Traceback") == (1 if sent is signal.SIGINT else 0)  # its own, which `lake` does not show
    finally:
        if audit.poll() is None:
            os.killpg(audit.pid, signal.SIGKILL)


def helpers_of(pid: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(pid).children(recursive=True) if _is_helper(one)]


def _is_helper(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # it has ended meanwhile, or is a zombie of another test
        return False
