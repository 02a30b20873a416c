"""Records that processes leave for one another as JSON: an older format is read, a newer one refused in a sentence."""

import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.houses import datasets
from jobs.houses.schema import DOMAIN, PRICE_MODEL
from jobs.production import versions as plants
from lakehouse.audit import results
from lakehouse.core import run_state
from lakehouse.embedded.kafka_broker import Broker
from lakehouse.errors import NewerFormatError
from lakehouse.models import manifests
from lakehouse.models.registry import Registry
from lakehouse.ops import initial_data, status
from lakehouse.settings import ROOT, settings
from lakehouse.sinks import postgres_address
from lakehouse.streaming import query_state, sidecar

FIXTURE = ROOT / "tests/fixtures/var-of-499740c.tar.xz"  # written before records had formats
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
WRITTEN = {"written_at": NOW.isoformat()}
AUDIT = "20261127T144342679842.json"


class Kind(NamedTuple):
    """A file, what an older version has written into it, and what is read of it."""

    file: Callable[[], Path]
    old: Callable[[], dict[str, Any]]
    read: Callable[[], Any]
    expected: Any
    newer: Any = NewerFormatError  # or what is read instead, where refusing would be worse
    newest: int = 1  # the format that is written


@cache
def older(name: str) -> dict[str, Any]:
    """A file of the older lake in the fixture."""
    with tarfile.open(FIXTURE) as archive:
        content = archive.extractfile(f"./{name}")
        assert content
        values: dict[str, Any] = json.load(content)
    return values


def checkpoint() -> Path:
    return settings().checkpoints / "houses/history"


def manifest_file() -> Path:
    return Registry(PRICE_MODEL).folder / "v0001/manifest.json"


def progress() -> datetime | str | None:
    found = query_state.read("houses", "history", NOW)
    return found.error.partition(". ")[0] or (found.progress.written_at if found.progress else None)


KINDS = {
    "processes": Kind(
        run_state.processes_file, lambda: {"supervisor_pid": 5}, lambda: run_state.read_lake().supervisor_pid, 5
    ),
    "processes on a page": Kind(
        run_state.processes_file,
        lambda: {"processes": [{"name": "kafka"}]},
        lambda: [view.name for view in status.shown_views()],
        ["kafka"],
        [],
    ),
    "progress": Kind(
        lambda: run_state.progress_file("houses", "history"),
        lambda: WRITTEN,
        progress,
        NOW,
        "The progress of houses/history cannot be read",
    ),
    "spark": Kind(
        lambda: run_state.spark_file("houses"),
        lambda: {"ui": "http://x"},
        lambda: run_state.spark_ui("houses"),
        "http://x",
        "",
    ),
    "broker": Kind(
        lambda: settings().broker_file, lambda: {"bootstrap_servers": "x:1"}, lambda: settings().brokers(), "x:1"
    ),
    "postgres": Kind(postgres_address.address_file, lambda: {"port": 7}, lambda: postgres_address.read().port, 7),
    "began empty": Kind(
        lambda: initial_data.note(DOMAIN), lambda: {"prepared": True}, lambda: initial_data.jobs(DOMAIN), ()
    ),
    "sidecar": Kind(
        lambda: sidecar.file(checkpoint()),
        lambda: older("checkpoints/houses/history.json"),
        lambda: sidecar.read(checkpoint()).generation,
        "05e4fec6-99e6-4728-bdb4-508af46952a5",
        newest=sidecar.FORMAT,
    ),
    "audit": Kind(
        lambda: results.folder("houses") / AUDIT,
        lambda: older(f"lake/houses/_audits/{AUDIT}"),
        lambda: results.last("houses").records,
        303,
        newest=results.FORMAT,
    ),
    "audit on a page": Kind(
        lambda: results.folder("houses") / AUDIT,
        lambda: older(f"lake/houses/_audits/{AUDIT}"),
        lambda: [*results.last_of(["houses"])],
        ["houses"],
        [],
    ),
    "registry": Kind(
        lambda: Registry(PRICE_MODEL).file,
        lambda: older("models/houses/registry.json"),
        lambda: Registry(PRICE_MODEL).live(),
        "v0001",
    ),
    "manifest": Kind(
        manifest_file,
        lambda: older("models/houses/v0001/manifest.json"),
        lambda: (Registry(PRICE_MODEL).manifest("v0001").format, Registry(PRICE_MODEL).manifest("v0001").rows["sales"]),
        (0, 600),
    ),
    "a listed manifest": Kind(
        manifest_file,
        lambda: older("models/houses/v0001/manifest.json"),
        lambda: [version.outcome for version in Registry(PRICE_MODEL).versions()],
        ["published"],
        ["newer"],
    ),
    "data sets": Kind(
        lambda: datasets.data_folder() / datasets.MANIFEST,
        lambda: older("data/houses/manifest.json"),
        datasets.is_empty,
        False,
    ),
    "plants": Kind(
        plants.versions_file,
        lambda: json.loads(plants.keep_versions("id").model_dump_json()),
        lambda: plants.of_lake().topic_id,
        "id",
    ),
}
pytestmark = pytest.mark.usefixtures("lake")


def put(kind: Kind, **more: Any) -> None:
    content = {**kind.old(), **more}
    kind.file().parent.mkdir(parents=True, exist_ok=True)
    kind.file().write_text(json.dumps(content))


@pytest.mark.parametrize("name", KINDS)
def test_a_record_without_a_format_is_read(name: str) -> None:
    kind = KINDS[name]
    put(kind)
    assert kind.read() == kind.expected


@pytest.mark.parametrize("name", KINDS)
def test_a_record_of_a_newer_format_is_refused_in_a_sentence(name: str) -> None:
    kind = KINDS[name]
    put(kind, format=99)
    if kind.newer is not NewerFormatError:
        assert kind.read() == kind.newer
        return
    expected = rf"has format 99, and this version reads formats up to {kind.newest}\. A newer"
    with pytest.raises(NewerFormatError, match=expected) as of:
        kind.read()
    assert str(kind.file()) in str(of.value)


def test_each_record_is_written_with_its_format() -> None:
    run_state.write_lake(run_state.LakeRecord(5))
    run_state.write_spark_ui("houses", "http://x")
    Broker(port=0).announce()
    postgres_address.write(7)
    initial_data.begin_empty(DOMAIN)
    initial_data.ended(DOMAIN)
    sidecar.write(checkpoint(), sidecar.Sidecar({}))
    plants.keep_versions("id")
    registry = Registry(PRICE_MODEL)
    with registry.aside() as folder:
        registry.switch(registry.keep(folder, manifests.Manifest(manifests.Outcome.PUBLISHED)), "better")
    alike = {
        KINDS[name].file(): KINDS[name] for name in KINDS if not name.startswith(("audit", "progress", "data sets"))
    }
    written = {file.name: json.loads(file.read_text())["format"] for file in alike}
    assert written == {file.name: kind.newest for file, kind in alike.items()}
    assert registry.manifest("v0001").format == 1


def test_an_older_manifest_keeps_its_fields_and_its_checksum() -> None:
    put(KINDS["manifest"])
    old = older("models/houses/v0001/manifest.json")
    shown = Registry(PRICE_MODEL).manifest("v0001").to_dict()
    assert ({**old, "format": 0}).items() <= shown.items()
    put(KINDS["manifest"], reason="another")
    assert manifests.read_manifest(manifest_file()) is None
