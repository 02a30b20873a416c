"""docker/*.yaml: what holds for every service, whatever it runs."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.docker.compose import Project, ends, our_services, project, replaced


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
        ours = name in our_services(project)
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
            wanted = "service_completed_successfully" if ends(services.get(other, service)) else "service_healthy"
            if other not in services or wait["condition"] != wanted:
                yield f"{name}: waits for {other}"


@pytest.mark.parametrize("check", [loose_images, open_ports, soft_services, bad_waits])
def test_the_rules_hold(check: Callable[[Project], Iterator[str]]) -> None:
    assert list(check(project())) == []


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
        ("mem_limit: 3g\n\n  ksql", "\n\n  ksql", soft_services, "nightly: memory"),
    ],
)
def test_what_would_not_hold_is_noticed(
    old: str, new: str, check: Callable[[Project], Iterator[str]], found: str
) -> None:
    assert any(wrong.startswith(found) for wrong in check(project(replaced(old, new))))
