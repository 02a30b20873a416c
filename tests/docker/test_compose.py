"""docker/*.yaml: the services run what the domains declare, with the state and the addresses that it needs."""

import itertools
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import yaml

from lakehouse.cli import main, nightly
from lakehouse.contract import discovery
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.ops import crontab
from lakehouse.settings import ROOT, Settings
from lakehouse.spark import jars
from tests.docker.compose import (
    FILES,
    Project,
    command_words,
    domain_names,
    our_services,
    project,
    replaced,
    running,
)

OTHER_VARIABLES = {"LAKE_DEBUG", "LAKE_LOG_FORMAT", "LAKE_PYTHON"}  # read outside Settings
# The service of each server that domains may declare, and the volume that keeps its state.
SERVERS = {
    Server.KAFKA: ("kafka", "kafka:/var/lib/kafka/data"),
    Server.POSTGRES: ("postgres", "postgres:/var/lib/postgresql"),
}
NIGHTLY = [".venv/bin/lake", "nightly"]
PORTS = {"kafka": "9094", "spark-master": "7077", "ksqldb-server": "8088"}  # at which the services find each other


def bad_mounts(project: Project) -> Iterator[str]:
    """Volumes that are not declared and bind mounts of what is not there; state that no volume keeps."""
    for name, service in project["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (ROOT / "docker" / source).exists() if source.startswith(".") else source in project["volumes"]
            if not known or (source.startswith(".") and not volume.endswith(":ro")):
                yield f"{name}: {volume}"
    for name, target in _state(project):
        if target not in project["services"][name].get("volumes", []):
            yield f"{name}: {target} is not mounted"


def _state(project: Project) -> Iterator[tuple[str, str]]:
    """The services that keep state, each with the volume it needs."""
    yield from (each for each in SERVERS.values() if each[0] in project["services"])
    yield from ((name, "lake:/lake") for name in project["services"] if name.startswith("spark-worker-"))
    yield "dashboard", "asking:/lake/asking"  # what users ask; the rest of the lake it only reads
    for domain in discovery.load_all(domain_names()):
        for process in domain.processes:
            yield from ((name, "lake:/lake") for name in running(project, domain.command(process.job)))


def missing_services(project: Project) -> Iterator[str]:
    """What a domain declares to run and no service, or more than one, does; and servers that nobody waits for."""
    for domain in discovery.load_all(domain_names()):
        jobs = [process.job for process in domain.processes]
        jobs += [job for job in (*domain.prepare, domain.produce) if job]
        for words in map(domain.command, jobs):
            if len(found := running(project, words)) != 1:
                yield f"{domain.name}: {' '.join(words)} is run by {' and '.join(found) or 'no service'}"
        begins = [command_words(service)[:3] for service in our_services(project).values()]
        if begins.count([*NIGHTLY, domain.name]) != 1:
            yield f"{domain.name}: no service runs its night"
        for server, process in itertools.product(domain.services, domain.processes):
            for name in running(project, domain.command(process.job)):
                if SERVERS[server][0] not in project["services"][name].get("depends_on", {}):
                    yield f"{domain.name}: {name} does not wait for {SERVERS[server][0]}"


def missing_programs(project: Project) -> Iterator[str]:
    """Scripts, modules and commands of `lake` that a command names and that do not exist."""
    known = main._names(main.app)
    for name, service in our_services(project).items():
        words = command_words(service)
        paths = [word for word in words if word.endswith((".py", ".sh"))]
        modules = [f"{words[at + 1].replace('.', '/')}.py" for at, word in enumerate(words) if word == "-m"]
        for path in paths + modules:
            if not (ROOT / path).is_file():
                yield f"{name}: {path}"
        lake = words[1] if words[:1] == [".venv/bin/lake"] else ""
        if lake and lake not in known:
            yield f"{name}: lake {lake}"
        others = words[:1] == ["mkdir"] or any(word.startswith("org.apache.spark.") for word in words)
        if not (paths or modules or lake or others):
            yield f"{name}: runs nothing of ours"


def wrong_addresses(project: Project) -> Iterator[str]:
    """Variables that Settings does not know, and addresses that name no service or another port than it has."""
    known = {f"LAKE_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    for name, service in project["services"].items():
        variables = {key: str(value) for key, value in service.get("environment", {}).items()}
        yield from (f"{name}: {key}" for key in variables if key.startswith("LAKE_") and key not in known)
        text = " ".join([*variables.values(), *command_words(service), *map(str, service.get("entrypoint", []))])
        for host, port in re.findall(r"\b([a-z][a-z0-9-]*):(\d{4})\b", text):
            if PORTS.get(host, port) != port or host not in {*PORTS, "localhost"}:
                yield f"{name}: {host}:{port}"
        driver = re.search(r"spark\.driver\.host=(\S+)", text)
        if driver and driver[1] != name:
            yield f"{name}: executors would call {driver[1]}"


@pytest.mark.parametrize("check", [bad_mounts, missing_programs, missing_services, wrong_addresses])
def test_the_services_hold(check: Callable[[Project], Iterator[str]]) -> None:
    assert list(check(project())) == []


@pytest.mark.parametrize(
    ("old", "new", "check", "found"),
    [
        ("houses/houses.ksql:/", "houses/other.ksql:/", bad_mounts, "ksqldb-script: ../jobs/houses/other.ksql"),
        ('["kafka:/var/lib/kafka/data"]', "[]", bad_mounts, "kafka: kafka:/var/lib/kafka/data is not mounted"),
        (', "asking:/lake/asking"', "", bad_mounts, "dashboard: asking:/lake/asking is not mounted"),
        ("  lake: {}", "", bad_mounts, "stream: lake:/lake"),
        ("jobs/houses/stream.py", "jobs/houses/streams.py", missing_programs, "stream: jobs/houses/streams.py"),
        ("/lake, nightly, houses", "/lake, nightly-run, houses", missing_programs, "nightly: lake nightly-run"),
        (
            "houses/stream.py]",
            "houses/predict.py]",
            missing_services,
            "houses: jobs/houses/stream.py is run by no service",
        ),
        (
            'produce.py, --rate, "20"',
            'produce.py, --rate, "30"',
            missing_services,
            "houses: jobs/houses/produce.py --rate",
        ),
        ("/lake, nightly, prod", "/lake, nightly, hous", missing_services, "production: no service runs its night"),
        ("    kafka: {cond", "    other: {cond", missing_services, "houses: stream does not wait for kafka"),
        ('"postgres:/var/lib/postgresql"', '"lake:/x"', bad_mounts, "postgres: postgres:/var/lib/postgresql is not"),
        ("dashboard.app", "dashboard.server", missing_programs, "dashboard: dashboard/server.py"),
        ("LAKE_VAR:", "LAKE_FOLDER:", wrong_addresses, "stream: LAKE_FOLDER"),
        ("SERVERS: kafka:9094", "SERVERS: kafka:9092", wrong_addresses, "produce: kafka:9092"),
        ("RES_DSN:", "RES:", wrong_addresses, "stream-production: LAKE_POSTGRES"),
        ("host=recompute", "host=stream", wrong_addresses, "recompute: executors would call stream"),
    ],
)
def test_what_would_not_hold_is_noticed(
    old: str, new: str, check: Callable[[Project], Iterator[str]], found: str
) -> None:
    assert any(wrong.startswith(found) for wrong in check(project(replaced(old, new))))


def test_a_domains_services_are_included_or_its_file_says_how_to_add_them() -> None:
    included, ours = (
        yaml.safe_load(FILES["compose.yaml"])["include"],
        [f"{name}.yaml" for name in domain_names()],
    )
    assert {*FILES} == {"compose.yaml", "common.yaml", *ours}
    assert not {*included} - {*ours}
    added = [file for file in ours if file not in included]
    assert not [file for file in added if f"-f docker/compose.yaml -f docker/{file}" not in FILES[file]]


def test_each_declared_server_is_known_here() -> None:
    assert {*SERVERS} == {*Server}


def test_a_process_that_a_domain_adds_needs_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = discovery.load("houses")
    archive = Process("archive", Job("archive.py", "--to", "s3"))
    more = replace(domain, processes=(*domain.processes, archive), services=(*domain.services, Server.POSTGRES))
    monkeypatch.setattr(discovery, "load_all", lambda _: [more])
    assert list(missing_services(project())) == [
        "houses: jobs/houses/archive.py --to s3 is run by no service",
        "houses: stream does not wait for postgres",
    ]


def test_the_batch_layer_can_be_run_once() -> None:
    assert command_words(project()["services"]["recompute"])[-1] == "jobs/houses/recompute.py"


def test_the_night_is_the_crontabs() -> None:
    command = project()["services"]["nightly"]["command"]
    at = nightly._clock(command[-1])
    assert command[-1] == f"{at:%H:%M} UTC"
    assert f" -eq {(60 * at.hour + at.minute) // 15} ];" in crontab.TEMPLATE.read_text()


def test_health_is_asked_where_the_service_listens() -> None:
    for name, service in our_services(project()).items():
        if "healthcheck" in service:
            port = re.findall(r"localhost:(\d+)", service["environment"]["HEALTH_URL"])[0]
            assert service["ports"] == [f"127.0.0.1:{port}:{port}"], name
            listens = [*command_words(service), str(service["environment"].get("WORKER_UI_PORT"))]
            named = port in listens or f"spark.ui.port={port}" in listens
            assert named or port == "4040", name  # Spark's own default


def test_the_broker_takes_what_the_topics_are_given() -> None:
    kafka = project()["services"]["kafka"]
    topics = [topic for domain in discovery.load_all() for topic in domain.topics]
    largest = max(int(dict(topic.config).get("max.message.bytes", "0")) for topic in topics)
    assert int(kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) >= largest
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "INTERNAL://kafka:9094,HOST://localhost:9092"
    [version] = {jar.version for jar in jars.locked() if jar.artifact == "kafka_2.13"}
    assert kafka["image"] == f"apache/kafka:{version}"  # the same broker as the embedded one


def test_our_image_is_named_by_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in our_services(project()).values()} == {f"lake:{version}"}
