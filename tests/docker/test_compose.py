"""docker/*.yaml and docker/Dockerfile: what can be checked without a Docker engine."""

import itertools
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import yaml

from lakehouse.cli import main, nightly
from lakehouse.contract import discovery
from lakehouse.contract.runs import Job, Process, Server
from lakehouse.ops import crontab
from lakehouse.settings import ROOT, Settings
from lakehouse.spark import jars, java

FILES = {file.name: file.read_text() for file in sorted((ROOT / "docker").glob("*.yaml"))}
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
IGNORE = (ROOT / ".dockerignore").read_text()
OTHER_VARIABLES = {"LAKE_DEBUG", "LAKE_LOG_FORMAT", "LAKE_PYTHON"}  # read outside Settings
# The service of each server that domains may declare, and the volume that keeps its state.
SERVERS = {
    Server.KAFKA: ("kafka", "kafka:/var/lib/kafka/data"),
    Server.POSTGRES: ("postgres", "postgres:/var/lib/postgresql"),
}
NIGHTLY = [".venv/bin/lake", "nightly"]
PORTS = {"kafka": "9094", "spark-master": "7077", "ksqldb-server": "8088"}  # at which the services find each other
Project = dict[str, Any]


def _merged(base: Project, own: Project) -> Project:
    """A service over the one that it extends, as compose merges them; volumes by where they are mounted."""
    result = {**base, **own}
    for key in ("environment", "depends_on"):
        if key in base and key in own:
            result[key] = {**base[key], **own[key]}
    if "volumes" in base and "volumes" in own:
        result["volumes"] = [*{volume.split(":")[1]: volume for volume in base["volumes"] + own["volumes"]}.values()]
    return result


def _service(files: dict[str, Project], file: str, name: str) -> Project:
    own = dict(files[file]["services"][name])
    extends = own.pop("extends", None)
    if extends is None:
        return own
    base = {"file": file, "service": extends} if isinstance(extends, str) else extends
    return _merged(_service(files, base["file"], base["service"]), own)


def _project() -> Project:
    """compose.yaml with what it includes, and the services of domains that are given by a second --file."""
    files: dict[str, Project] = {name: yaml.safe_load(text) for name, text in FILES.items()}
    project: Project = {"services": {}, "volumes": {}}
    added = [f"{name}.yaml" for name in _domains()]
    for file in dict.fromkeys(("compose.yaml", *files["compose.yaml"]["include"], *added)):
        project["services"] |= {name: _service(files, file, name) for name in files[file]["services"]}
        project["volumes"] |= files[file].get("volumes", {})
    return project


def _domains() -> list[str]:
    """The domains that have services."""
    return [name for name in discovery.domains() if f"{name}.yaml" in FILES]


def _ends(service: Project) -> bool:
    """Whether a service runs once."""
    return service["restart"] == "no" or service["restart"].startswith("on-failure:")


def _ours(project: Project) -> dict[str, Any]:
    return {name: service for name, service in project["services"].items() if "build" in service}


def _words(service: Project) -> list[str]:
    """A service's command, the one inside `sh -c` too, as words."""
    command = [str(word) for word in service.get("command", [])]
    return shlex.split(command[2]) if command[:2] == ["/bin/sh", "-c"] else command


def loose_images(project: Project) -> Iterator[str]:
    """Images without a full version."""
    for name, service in project["services"].items():
        if not re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+|postgres:\d+\.\d+", service["image"]):
            yield f"{name}: {service['image']}"


def open_ports(project: Project) -> Iterator[str]:
    """Ports published beyond loopback, or twice."""
    published = [
        (name, str(port)) for name, service in project["services"].items() for port in service.get("ports", [])
    ]
    for name, port in published:
        if not port.startswith("127.0.0.1:") or [other for _, other in published].count(port) > 1:
            yield f"{name}: {port}"


def soft_services(project: Project) -> Iterator[str]:
    """Services that run with more rights or fewer limits than they need."""
    for name, service in project["services"].items():
        ours = name in _ours(project)
        rules = {
            "capabilities": service.get("cap_drop") == ["ALL"] and "cap_add" not in service,
            "new privileges": "no-new-privileges:true" in service.get("security_opt", []),
            "no init": service.get("init") is True,
            "memory": "mem_limit" in service,
            "restart": "restart" in service,
            "user": str(service.get("user", "lake" if ours else "root")) not in {"root", "0"},
            "writable root": not ours or service.get("read_only") is True,
            "privileged": not service.get("privileged"),
        }
        yield from (f"{name}: {what}" for what, good in rules.items() if not good)


def bad_waits(project: Project) -> Iterator[str]:
    """Dependencies on what does not say when it is ready, and services without a health check."""
    services = project["services"]
    for name, service in services.items():
        if ("ports" in service) != ("healthcheck" in service):  # of the others the exit or the log says enough
            yield f"{name}: healthcheck"
        for other, wait in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if _ends(services.get(other, service)) else "service_healthy"
            if other not in services or wait["condition"] != wanted:
                yield f"{name}: waits for {other}"


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
    for domain in discovery.load_all(_domains()):
        for process in domain.processes:
            yield from ((name, "lake:/lake") for name in _running(project, domain.command(process.job)))


def _running(project: Project, words: Sequence[str]) -> list[str]:
    """The services of ours whose command ends with these words."""
    return [name for name, service in _ours(project).items() if _words(service)[-len(words) :] == list(words)]


def missing_services(project: Project) -> Iterator[str]:
    """What a domain declares to run and no service, or more than one, does; and servers that nobody waits for."""
    for domain in discovery.load_all(_domains()):
        jobs = [process.job for process in domain.processes]
        jobs += [job for job in (*domain.prepare, domain.produce) if job]
        for words in map(domain.command, jobs):
            if len(found := _running(project, words)) != 1:
                yield f"{domain.name}: {' '.join(words)} is run by {' and '.join(found) or 'no service'}"
        if [_words(service)[:3] for service in _ours(project).values()].count([*NIGHTLY, domain.name]) != 1:
            yield f"{domain.name}: no service runs its night"
        for server, process in itertools.product(domain.services, domain.processes):
            for name in _running(project, domain.command(process.job)):
                if SERVERS[server][0] not in project["services"][name].get("depends_on", {}):
                    yield f"{domain.name}: {name} does not wait for {SERVERS[server][0]}"


def missing_programs(project: Project) -> Iterator[str]:
    """Scripts, modules and commands of `lake` that a command names and that do not exist."""
    known = main._names(main.app)
    for name, service in _ours(project).items():
        words = _words(service)
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
        text = " ".join([*variables.values(), *_words(service), *map(str, service.get("entrypoint", []))])
        for host, port in re.findall(r"\b([a-z][a-z0-9-]*):(\d{4})\b", text):
            if PORTS.get(host, port) != port or host not in {*PORTS, "localhost"}:
                yield f"{name}: {host}:{port}"
        driver = re.search(r"spark\.driver\.host=(\S+)", text)
        if driver and driver[1] != name:
            yield f"{name}: executors would call {driver[1]}"


@pytest.mark.parametrize(
    "check",
    [
        loose_images,
        open_ports,
        soft_services,
        bad_waits,
        bad_mounts,
        missing_programs,
        missing_services,
        wrong_addresses,
    ],
)
def test_the_services_hold(check: Callable[[Project], Iterator[str]]) -> None:
    assert list(check(_project())) == []


@pytest.mark.parametrize(
    ("old", "new", "check", "found"),
    [
        ("apache/kafka:4.3.1", "apache/kafka:latest", loose_images, "kafka: apache/kafka:latest"),
        ("ksqldb-server:0.29.0", "ksqldb-server", loose_images, "ksqldb-server: confluentinc/ksqldb-server"),
        ("127.0.0.1:8050:8050", "8050:8050", open_ports, "dashboard: 8050:8050"),
        ("127.0.0.1:8082:8082", "127.0.0.1:8081:8081", open_ports, "spark-worker-2: 127.0.0.1:8081:8081"),
        ("cap_drop: [ALL]", "cap_drop: []", soft_services, "stream: capabilities"),
        ('security_opt: ["no-new-privileges:true"]', "security_opt: []", soft_services, "kafka: new privileges"),
        ("  init: true", "  init: false", soft_services, "stream: no init"),
        ("  read_only: true", "  read_only: false", soft_services, "dashboard: writable root"),
        ("    user: appuser", "    user: root", soft_services, "kafka: user"),
        ("    user: appuser", "    privileged: true", soft_services, "kafka: privileged"),
        ("    mem_limit: 512m", "", soft_services, "produce: memory"),
        ("    restart: on-failure:5", "", soft_services, "ksqldb-script: restart"),
        ("service_completed_successfully", "service_started", bad_waits, "stream: waits for prepare"),
        (
            "    healthcheck:\n      test:\n        - CMD\n",
            "    unchecked:\n      test:\n",
            bad_waits,
            "stream: healthcheck",
        ),
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
        ("mem_limit: 3g\n\n  ksql", "\n\n  ksql", soft_services, "nightly: memory"),
        ("dashboard.app", "dashboard.server", missing_programs, "dashboard: dashboard/server.py"),
        ("LAKE_VAR:", "LAKE_FOLDER:", wrong_addresses, "stream: LAKE_FOLDER"),
        ("SERVERS: kafka:9094", "SERVERS: kafka:9092", wrong_addresses, "produce: kafka:9092"),
        ("RES_DSN:", "RES:", wrong_addresses, "stream-production: LAKE_POSTGRES"),
        ("host=recompute", "host=stream", wrong_addresses, "recompute: executors would call stream"),
    ],
)
def test_what_would_not_hold_is_noticed(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, check: Callable[[Project], Iterator[str]], found: str
) -> None:
    assert any(old in text for text in FILES.values())
    monkeypatch.setitem(globals(), "FILES", {name: text.replace(old, new) for name, text in FILES.items()})
    assert any(wrong.startswith(found) for wrong in check(_project()))


def test_a_domains_services_are_included_or_its_file_says_how_to_add_them() -> None:
    included, ours = yaml.safe_load(FILES["compose.yaml"])["include"], [f"{name}.yaml" for name in _domains()]
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
    assert list(missing_services(_project())) == [
        "houses: jobs/houses/archive.py --to s3 is run by no service",
        "houses: stream does not wait for postgres",
    ]


def test_the_batch_layer_can_be_run_once() -> None:
    assert _words(_project()["services"]["recompute"])[-1] == "jobs/houses/recompute.py"


def test_the_night_is_the_crontabs() -> None:
    command = _project()["services"]["nightly"]["command"]
    at = nightly._clock(command[-1])
    assert command[-1] == f"{at:%H:%M} UTC"
    assert f" -eq {(60 * at.hour + at.minute) // 15} ];" in crontab.TEMPLATE.read_text()


def test_health_is_asked_where_the_service_listens() -> None:
    for name, service in _ours(_project()).items():
        if "healthcheck" in service:
            port = re.findall(r"localhost:(\d+)", service["environment"]["HEALTH_URL"])[0]
            assert service["ports"] == [f"127.0.0.1:{port}:{port}"], name
            listens = [*_words(service), str(service["environment"].get("WORKER_UI_PORT"))]
            named = port in listens or f"spark.ui.port={port}" in listens
            assert named or port == "4040", name  # Spark's own default


def test_the_broker_takes_what_the_topics_are_given() -> None:
    kafka = _project()["services"]["kafka"]
    topics = [topic for domain in discovery.load_all() for topic in domain.topics]
    largest = max(int(dict(topic.config).get("max.message.bytes", "0")) for topic in topics)
    assert int(kafka["environment"]["KAFKA_MESSAGE_MAX_BYTES"]) >= largest
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "INTERNAL://kafka:9094,HOST://localhost:9092"
    [version] = {jar.version for jar in jars.locked() if jar.artifact == "kafka_2.13"}
    assert kafka["image"] == f"apache/kafka:{version}"  # the same broker as the embedded one


def test_our_image_is_named_by_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in _ours(_project()).values()} == {f"lake:{version}"}


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined)]


def test_the_image_is_built_as_make_setup_does() -> None:
    steps = " && ".join(rest for word, rest in _instructions(DOCKERFILE) if word == "RUN").split(" && ")
    for source, flags in {
        "-r requirements-build.txt": ["--require-hashes"],
        "-r requirements.txt": ["--require-hashes", "--no-build-isolation"],
        "-e .": ["--no-deps", "--no-build-isolation"],
    }.items():
        [step] = [step for step in steps if step.strip().endswith(source)]
        [recipe] = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.endswith(source)]
        assert all(flag in step and flag in recipe for flag in flags), step
    assert steps[-1] == ".venv/bin/lake fetch-jars"
    assert int(re.findall(r"openjdk-(\d+)-jre-headless", DOCKERFILE)[0]) in java.SUPPORTED


def test_the_image_is_pinned_and_has_no_root() -> None:
    instructions = _instructions(DOCKERFILE)
    assert [rest for word, rest in instructions if word == "FROM"] == ["python:3.11.14-slim-bookworm"]
    assert instructions[-1] == ("USER", "lake")
    assert "useradd --uid 10001" in DOCKERFILE
    assert not re.search(r"\b(ADD|curl|wget|sudo)\b|https?://", DOCKERFILE)


def test_what_is_mounted_is_the_users_own() -> None:
    owned = re.findall(r"install -d -o lake -g lake (.*)", DOCKERFILE)[0].split()
    volumes = [volume for service in _ours(_project()).values() for volume in service.get("volumes", [])]
    assert {volume.split(":")[1] for volume in volumes if not volume.startswith(".")} == {*owned}


def test_what_is_copied_exists_and_is_let_through() -> None:
    copied = [source for word, rest in _instructions(DOCKERFILE) if word == "COPY" for source in rest.split()[:-1]]
    let_through = [line.removeprefix("!") for line in IGNORE.splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(let_through)
    assert all((ROOT / source).exists() for source in copied)
    assert IGNORE.splitlines().index("*") < IGNORE.splitlines().index(f"!{let_through[0]}")
