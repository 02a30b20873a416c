"""docker/*.yaml as compose reads them, without compose."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lakehouse.contract import discovery
from lakehouse.settings import ROOT

FILES = {file.name: file.read_text() for file in sorted((ROOT / "docker").glob("*.yaml"))}
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


def project(texts: Mapping[str, str] = FILES) -> Project:
    """compose.yaml with what it includes, and the services of domains that are given by a second --file."""
    files: dict[str, Project] = {name: yaml.safe_load(text) for name, text in texts.items()}
    merged: Project = {"services": {}, "volumes": {}}
    added = [f"{name}.yaml" for name in domain_names()]
    for file in dict.fromkeys(("compose.yaml", *files["compose.yaml"]["include"], *added)):
        merged["services"] |= {name: _service(files, file, name) for name in files[file]["services"]}
        merged["volumes"] |= files[file].get("volumes", {})
    return merged


def domain_names() -> list[str]:
    """The domains that have services."""
    return [name for name in discovery.domains() if f"{name}.yaml" in FILES]


def ends(service: Project) -> bool:
    """Whether a service runs once."""
    return service["restart"] == "no" or service["restart"].startswith("on-failure:")


def our_services(project: Project) -> dict[str, Any]:
    """The services of our image."""
    return {name: service for name, service in project["services"].items() if "build" in service}


def command_words(service: Project) -> list[str]:
    """A service's command, the one inside `sh -c` too, as words."""
    command = [str(word) for word in service.get("command", [])]
    return shlex.split(command[2]) if command[:2] == ["/bin/sh", "-c"] else command


def running(project: Project, words: Sequence[str]) -> list[str]:
    """The services of ours whose command ends with these words."""
    commands = {name: command_words(service) for name, service in our_services(project).items()}
    return [name for name, command in commands.items() if command[-len(words) :] == list(words)]


def replaced(old: str, new: str) -> dict[str, str]:
    """The files with another text in the place of one that at least one of them has."""
    assert any(old in text for text in FILES.values())
    return {name: text.replace(old, new) for name, text in FILES.items()}
