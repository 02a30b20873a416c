"""The processes that follow from what domains declare, and the order in which `lake up` starts them."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.houses.schema import DOMAIN as HOUSES
from jobs.production.schema import DOMAIN as PRODUCTION
from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.core import run_state
from lakehouse.errors import UnavailableError
from lakehouse.ops import domain_services, launch, servers
from lakehouse.ops.service import Service
from lakehouse.ops.supervisor import Supervisor
from lakehouse.settings import settings
from lakehouse.spark import submit

# Stands for ./spark-submit.sh: a job ends, a process reports its queries and stays.
PROCESS = """
import sys, time
from lakehouse.core import run_state
for query in sys.argv[1:]:
    run_state.write_json(run_state.progress_file(*query.split(".")), {"batchId": 0})
time.sleep(600 if len(sys.argv) > 1 else 0)
"""
RUN_BY = {
    "jobs/houses/stream.py": ["houses.averages", "houses.history"],
    "jobs/houses/archive.py": ["none.none"],
    "jobs/production/stream.py": ["production.totals", "production.history"],
}
RUN_BY["houses"] = RUN_BY["jobs/houses/stream.py"] + RUN_BY["jobs/production/stream.py"]  # the shared stream
ARCHIVE = Process("archive", Job("archive.py"))
BOTH = (replace(HOUSES, processes=(*HOUSES.processes, ARCHIVE)), PRODUCTION)


def words(service: Service) -> list[str]:
    """What the service gives to ./spark-submit.sh."""
    return service.command()[len(submit.command()) :]


def test_names_and_commands_are_those_of_the_declaration() -> None:
    stream, archive, production = domain_services.processes(BOTH)
    assert [each.name for each in (stream, archive, production)] == [
        "houses.stream",
        "houses.archive",
        "production.stream",
    ]
    assert (words(stream), stream.queries) == (["jobs/houses/stream.py"], ("houses.averages", "houses.history"))
    assert (words(archive), archive.queries) == (["jobs/houses/archive.py"], ())
    assert [domain_services.once(HOUSES, job).name for job in (*HOUSES.prepare, *HOUSES.later)] == [
        "houses.build_datasets",
        "houses.train",
    ]
    assert words(domain_services.once(HOUSES, HOUSES.later[0])) == ["jobs/houses/train.py", "--if-none"]
    assert domain_services.producer(replace(HOUSES, produce=None)) is None


def test_in_one_application_a_single_process_runs_the_queries_of_all_domains() -> None:
    shared, archive = domain_services.processes(BOTH, one_application=True)
    assert (shared.name, archive.name) == ("stream", "houses.archive")
    assert words(shared) == ["-m", "lakehouse.streaming.shared_stream", "houses", "production"]
    assert shared.queries == ("houses.averages", "houses.history", "production.totals", "production.history")


def test_a_process_with_a_master_of_its_own_is_not_shared() -> None:
    stream = replace(HOUSES.processes[0], queries=("averages",))
    own = Process("answer", Job("answer.py", "--interval", "5 seconds"), ("history",), master="local[6]")
    domain = replace(HOUSES, processes=(stream, own))
    for one_application in (False, True):
        first, second = domain_services.processes([domain], one_application)
        assert (first.queries, second.name, second.queries) == (
            ("houses.averages",),
            "houses.answer",
            ("houses.history",),
        )
        assert words(second) == ["--master", "local[6]", "jobs/houses/answer.py", "--interval", "5 seconds"]


def test_a_domain_that_shares_no_query_is_not_in_the_shared_application() -> None:
    answer = Process("answer", Job("answer.py"), HOUSES.queries, master="local[6]")
    alone = replace(HOUSES, processes=(answer,))
    assert [each.name for each in domain_services.processes([alone], one_application=True)] == ["houses.answer"]
    shared, own = domain_services.processes([alone, PRODUCTION], one_application=True)
    assert (words(shared)[2:], own.name) == (["production"], "houses.answer")


def test_servers_are_started_once_in_one_order_and_kafka_always() -> None:
    assert servers.needed([PRODUCTION, HOUSES, PRODUCTION]) == [Server.KAFKA, Server.POSTGRES]
    assert servers.needed([replace(HOUSES, services=())]) == [Server.KAFKA]
    assert {*servers.KINDS} == {*Server}


def test_a_server_of_the_users_own_is_checked_and_not_started(
    lake: Path, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", broker)
    monkeypatch.setenv("LAKE_POSTGRES_DSN", "host=127.0.0.1 port=9 connect_timeout=1")
    settings.cache_clear()
    supervisor = Supervisor(print)
    assert servers.start(supervisor, Server.KAFKA) == f"Kafka: {broker}"
    assert run_state.read_lake().bootstrap_servers == broker
    with pytest.raises(UnavailableError):
        servers.start(supervisor, Server.POSTGRES)
    assert run_state.read_lake().processes == ()


@pytest.mark.parametrize(
    ("one_application", "order"),
    [
        (
            False,
            "houses.build_datasets houses.stream houses.archive houses.produce production.stream production.produce",
        ),
        (True, "houses.build_datasets stream houses.archive houses.produce production.produce"),
    ],
)
def test_what_domains_declare_is_started_in_order_and_waited_for(
    lake: Path, broker: str, monkeypatch: pytest.MonkeyPatch, one_application: bool, order: str
) -> None:
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", broker)
    settings.cache_clear()

    def command(*job: str) -> list[str]:
        name = job[2] if job[0] == "-m" else job[0]
        return [sys.executable, "-c", PROCESS, *RUN_BY.get(name, [])]

    monkeypatch.setattr(submit, "command", command)
    supervisor = Supervisor(print)
    how = launch.How(one_application=one_application)
    groups: list[tuple[Domain, ...]] = [BOTH] if one_application else [(domain,) for domain in BOTH]
    try:
        assert all(launch._start(supervisor, group, how) for group in groups)
        started = run_state.read_lake().processes
    finally:
        supervisor.stop()
    assert [process.name for process in started] == order.split()
    states = {process.name: process.state for process in started}
    assert states.pop("houses.build_datasets") == "finished"
    assert {state for name, state in states.items() if not name.endswith("produce")} == {"running"}
    run = {query for process in started for query in process.queries}
    assert run == {f"{domain.name}.{query}" for domain in BOTH for query in domain.queries}
