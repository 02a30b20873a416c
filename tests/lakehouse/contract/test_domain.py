"""What a domain declares to run, and what is concluded from it."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.houses.schema import AVERAGES_BATCHES, DEAD_LETTERS, DOMAIN, HISTORY
from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Job, Process
from lakehouse.contract.tables import Table
from lakehouse.errors import LakeError, UsageError
from lakehouse.settings import ROOT, settings

ALL = [discovery.load(name) for name in discovery.domains()]


def jobs_of(domain: Domain) -> Iterator[Job]:
    """Each job that the domain declares."""
    yield from (process.job for process in domain.processes)
    yield from (job for job in (domain.produce, domain.recompute) if job)
    yield from (*domain.prepare, *domain.prepare_empty, *domain.later, *domain.nightly, *domain.short_run)


@pytest.mark.parametrize("domain", ALL, ids=lambda domain: domain.name)
def test_what_a_domain_declares_is_there(domain: Domain) -> None:
    assert [job.script for job in jobs_of(domain) if not (ROOT / domain.path(job)).is_file()] == []
    for process in domain.streams:
        assert callable(discovery.job_module(domain, process.job).queries)  # for --one-application


def test_a_job_is_its_script_and_its_arguments() -> None:
    job = Job("produce.py", "--rate", "20")
    assert (job.name, job.arguments) == ("produce", ("--rate", "20"))
    assert job == Job("produce.py", "--rate", "20") != Job("produce.py")
    assert DOMAIN.command(job) == ("jobs/houses/produce.py", "--rate", "20")


@pytest.mark.parametrize(
    ("processes", "run"),
    [
        ((), "none"),
        ((Process("stream", Job("stream.py"), ("averages",)),), "averages"),
        ((Process("a", Job("a.py"), ("averages", "history")), Process("b", Job("b.py"), ("history",))), "averages, h"),
    ],
)
def test_each_query_is_run_by_one_process(processes: tuple[Process, ...], run: str) -> None:
    with pytest.raises(LakeError, match=f"by one of its processes: averages, history; its processes run {run}"):
        replace(DOMAIN, processes=processes)


@pytest.mark.parametrize("table", [HISTORY, DEAD_LETTERS, AVERAGES_BATCHES], ids=lambda table: table.name)
def test_what_a_query_writes_and_the_dead_letters_are_among_the_tables(table: Table) -> None:
    others = tuple(each for each in DOMAIN.tables if each != table)
    with pytest.raises(LakeError, match=rf"`tables` of houses names .*; it lacks {table.name}\. Add .*houses/schema"):
        replace(DOMAIN, tables=others)


def test_the_topics_that_a_query_writes_are_among_the_topics() -> None:
    with pytest.raises(LakeError, match=r"`topics` of houses names .*; it lacks AVG_PRICE_PER_YEAR\. Add .*schema"):
        replace(DOMAIN, topics=DOMAIN.topics[:1])


def test_a_process_without_queries_is_no_stream() -> None:
    archive = Process("archive", Job("archive.py"))
    domain = replace(DOMAIN, processes=(*DOMAIN.processes, archive))
    assert (domain.streams, domain.processes[-1]) == (DOMAIN.processes, archive)


@pytest.mark.parametrize(
    ("script", "for_days"),
    [
        ("jobs/houses/stream.py", True),
        ("jobs/houses/train.py", False),
        ("lakehouse/streaming/shared_stream.py", True),
        ("lakehouse/tables/maintain.py", False),
        ("jobs/cheese/stream.py", False),
        ("/elsewhere/jobs/houses/stream.py", False),
    ],
)
def test_what_runs_for_days_is_what_domains_declare(script: str, for_days: bool) -> None:
    assert discovery.runs_for_days(Path(script)) is discovery.runs_for_days(ROOT / script) is for_days


@pytest.mark.usefixtures("lake")
def test_the_domains_that_start_by_themselves_are_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    def configured(value: str) -> list[str]:
        monkeypatch.setenv("LAKE_DOMAINS", value)
        settings.cache_clear()
        return discovery.configured()

    assert discovery.configured() == ["houses"]  # conf/platform.toml
    assert configured("production, houses") == ["production", "houses"]
    assert configured("") == discovery.domains()
    with pytest.raises(UsageError, match="There is no domain 'cheese'"):
        configured("cheese")


def test_the_archive_is_made_with_a_domain_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    able, unable = replace(DOMAIN, name="able"), replace(DOMAIN, name="unable", short_run=())
    endless = replace(DOMAIN, name="endless", processes=(replace(DOMAIN.processes[0], master="local[6]"),))
    declared = {"able": able, "unable": unable, "endless": endless}
    monkeypatch.setattr(discovery, "domains", lambda: ["able", "unable"])
    monkeypatch.setattr(discovery, "load", declared.__getitem__)
    assert discovery.with_short_run(["unable"]) is discovery.with_short_run() is able
    assert discovery.with_short_run(["endless"]) is able
    monkeypatch.setattr(discovery, "domains", lambda: ["unable"])
    assert discovery.with_short_run() is None


def test_each_query_is_in_a_pool_of_the_file() -> None:
    pools = {str(pool.get("name")): pool for pool in ET.parse(ROOT / "conf/fairscheduler.xml").getroot()}
    assert {query.pool for domain in ALL for query in domain.query_tables.values()} == {*pools}
    assert DOMAIN.query_tables["averages"].pool == "speed"
    assert DOMAIN.query_tables["history"].pool == "history"
    weights = {name: int(str(pool.findtext("weight"))) for name, pool in pools.items()}
    assert weights["speed"] > weights["history"]
