"""docker/Dockerfile: what can be checked without a Docker engine."""

import re

from lakehouse.settings import ROOT
from lakehouse.spark import java
from tests.docker.compose import our_services, project

DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
IGNORE = (ROOT / ".dockerignore").read_text()


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
    volumes = [volume for service in our_services(project()).values() for volume in service.get("volumes", [])]
    assert {volume.split(":")[1] for volume in volumes if not volume.startswith(".")} == {*owned}


def test_what_is_copied_exists_and_is_let_through() -> None:
    copied = [source for word, rest in _instructions(DOCKERFILE) if word == "COPY" for source in rest.split()[:-1]]
    let_through = [line.removeprefix("!") for line in IGNORE.splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(let_through)
    assert all((ROOT / source).exists() for source in copied)
    assert IGNORE.splitlines().index("*") < IGNORE.splitlines().index(f"!{let_through[0]}")
