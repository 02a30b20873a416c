"""docs/domains/<domain>.md against what the domain declares: its jobs and when they run, its topics, its tables."""

import re
from collections.abc import Iterator

import pytest

from lakehouse.contract import discovery
from lakehouse.contract.domain import Domain
from lakehouse.contract.runs import Server
from lakehouse.events import json_schema
from lakehouse.settings import ROOT

PLATFORMS = {"redrives", "lost_ranges"}  # tables that the platform makes for a domain when they are needed
NAMES = discovery.domains()


def document(name: str) -> str:
    """The domain's document."""
    return (ROOT / f"docs/domains/{name}.md").read_text()


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head and without backquotes."""
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^\|(.+)\|$", section, re.MULTILINE)[2:]
    return [[cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


def times(domain: Domain) -> Iterator[tuple[str, str]]:
    """Each declared script, and when it runs, in the words of the documents."""
    yield from ((domain.path(job), "before the stream") for job in domain.prepare)
    yield from ((domain.path(process.job), "for days") for process in domain.processes)
    if domain.produce:
        yield domain.path(domain.produce), "in the demo"
    yield from ((domain.path(job), "after the start") for job in domain.later)
    yield from ((domain.path(job), "at night") for job in (domain.recompute, *domain.nightly) if job)


@pytest.mark.parametrize("name", NAMES)
def test_the_jobs_are_those_declared(name: str) -> None:
    declared: dict[str, list[str]] = {}
    for script, when in times(discovery.load(name)):
        declared.setdefault(script, []).append(when)
    shown = {script: when for script, when, *_ in rows(document(name), "Jobs")}
    assert {script: when for script, when in shown.items() if when != "by hand"} == {
        script: ", ".join(whens) for script, whens in declared.items()
    }
    assert not [script for script in shown if not (ROOT / script).is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_the_topics_are_those_declared(name: str) -> None:
    shown = [(topic, int(partitions)) for topic, *_, partitions in rows(document(name), "Topics")]
    assert shown == [(topic.name, topic.partitions) for topic in discovery.load(name).topics]


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_are_those_declared(name: str) -> None:
    shown = [table for table, *_ in rows(document(name), "Tables")]
    assert len(shown) == len({*shown})
    assert {*shown} - PLATFORMS == {table.name for table in discovery.load(name).tables}


@pytest.mark.parametrize("name", NAMES)
def test_a_server_beside_kafka_is_described(name: str) -> None:
    text = document(name)
    assert ("## PostgreSQL" in text) is (Server.POSTGRES in discovery.load(name).services)


@pytest.mark.parametrize("name", NAMES)
def test_the_json_schema_of_each_event_is_the_contracts(name: str) -> None:
    domain = discovery.load(name)
    kept = {file.name: file.read_text() for file in (ROOT / "docs/domains").glob(f"{name}.*.schema.json")}
    wanted = {event: json_schema.text(domain, event) for event in (one.__name__ for one in domain.events)}
    assert kept == {f"{name}.{event}.schema.json": f"{text}\n" for event, text in wanted.items()}, (
        f"Write it again: lake json-schema {name} <event> > docs/domains/{name}.<event>.schema.json"
    )
