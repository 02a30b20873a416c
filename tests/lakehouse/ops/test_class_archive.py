"""The class archive follows what domains declare; where none declares a short run, none is made."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.houses.schema import DOMAIN
from lakehouse.contract import discovery
from lakehouse.contract.runs import Job
from lakehouse.errors import LakeError
from lakehouse.ops import class_archive


def test_it_is_missing_only_where_a_domain_can_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_archive, "ARCHIVE", tmp_path / "spark.jsa")
    assert class_archive.is_missing(["production"])
    (tmp_path / "spark.jsa").touch()
    assert not class_archive.is_missing()
    (tmp_path / "spark.jsa").unlink()
    monkeypatch.setattr(discovery, "with_short_run", lambda names: None)
    assert not class_archive.is_missing()


def test_without_a_short_run_it_says_so_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "with_short_run", lambda names: None)
    with pytest.raises(LakeError, match="No domain declares a short run"):
        class_archive.make()


def test_the_stream_runs_with_the_arguments_that_its_process_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []

    def run(env: dict[str, str], *job: str) -> None:
        ran.append(job)
        if "LAKE_MAKE_ARCHIVE" in env:
            Path(env["LAKE_MAKE_ARCHIVE"]).touch()

    def broker(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(bootstrap_servers="", start=lambda _: None, stop=lambda: None)

    stream = replace(DOMAIN.processes[0], job=Job("stream.py", "--query", "averages"))
    monkeypatch.setattr(discovery, "with_short_run", lambda names: replace(DOMAIN, processes=(stream,)))
    monkeypatch.setattr(class_archive, "ARCHIVE", tmp_path / "spark.jsa")
    monkeypatch.setattr(class_archive, "Broker", broker)
    monkeypatch.setattr(class_archive.topics, "ensure", lambda *_: None)
    monkeypatch.setattr(class_archive, "_run", run)
    monkeypatch.setenv("LAKE_KAFKA_SECURITY", "plaintext")  # so that it is as before again
    assert class_archive.make() == tmp_path / "spark.jsa"
    assert ran[-1] == ("jobs/houses/stream.py", "--query", "averages", "--trigger", "available-now")
