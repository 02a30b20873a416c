"""Versions of a model: kept whole, switched in one step, refused by the file's name when damaged."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.houses.schema import PRICE_MODEL
from lakehouse.contract.models import Better
from lakehouse.errors import DataError, RefusedError, UsageError
from lakehouse.models import manifests
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry


@pytest.fixture
def registry(lake: Path) -> Registry:
    return Registry(PRICE_MODEL)


def version(registry: Registry, outcome: str = "published", **manifest: Any) -> str:
    """A version of two small files."""
    with registry.aside() as folder:
        (folder / "pipeline/stages").mkdir(parents=True)
        (folder / "pipeline/stages/part-0").write_bytes(b"coefficients")
        (folder / "export.json").write_text("{}")
        return registry.keep(folder, Manifest(Outcome(outcome), **manifest))


def flip(file: Path) -> None:
    """Change one byte in the middle, as a bad disk does."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_versions_are_numbered_and_hold_what_was_written(registry: Registry) -> None:
    before = datetime.now(UTC)
    assert [version(registry, reason=reason) for reason in ("first", "second")] == ["v0001", "v0002"]
    folder = registry.folder / "v0002"
    assert (folder / "pipeline/stages/part-0").read_bytes() == b"coefficients"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["version"], manifest["domain"], manifest["reason"]) == ("v0002", "houses", "second")
    assert before <= datetime.fromisoformat(manifest["created_at"]) <= datetime.now(UTC)
    sums = subprocess.run(
        ["sha256sum", "export.json", "pipeline/stages/part-0"], cwd=folder, capture_output=True, text=True, check=True
    )
    expected = {line.split()[1]: line.split()[0] for line in sums.stdout.splitlines()}
    assert {name: sha for name, sha in manifest["checksums"].items() if name != "manifest.json"} == expected


def test_a_version_that_is_kept_is_not_live_before_the_switch(registry: Registry) -> None:
    assert (registry.live(), registry.switches(), registry.stamp()) == (None, [], ())
    kept = version(registry)
    assert registry.live() is None
    registry.switch(kept, "the first")
    assert registry.live() == "v0001"
    assert [(switch.version, switch.reason, switch.by) for switch in registry.switches()] == [
        ("v0001", "the first", "train")
    ]


def test_a_number_that_is_none_is_kept_as_null(registry: Registry) -> None:
    kept = version(registry, outcome="refused", metrics={"r2": math.nan, "mape": math.inf, "rmse": 1.5})
    assert registry.manifest(kept).metrics == {"r2": None, "mape": None, "rmse": 1.5}


def test_what_a_run_leaves_when_it_fails_is_gone(registry: Registry) -> None:
    def failing() -> None:
        with registry.aside() as folder:
            (folder / "half").write_text("x")
            raise ValueError("Spark died")

    with pytest.raises(ValueError, match="Spark died"):
        failing()
    assert list(registry.folder.glob(".tmp-*")) == []
    assert registry.versions() == []


def test_leftovers_of_a_killed_run_go_after_a_day_and_a_living_ones_stay(registry: Registry) -> None:
    for name, age in ((".tmp-dead", timedelta(hours=25)), (".tmp-living", timedelta(hours=1))):
        (registry.folder / name).mkdir(parents=True)
        at = time.time() - age.total_seconds()
        os.utime(registry.folder / name, (at, at))
    version(registry)
    assert {path.name for path in registry.folder.glob(".tmp-*")} == {".tmp-living"}


def test_a_process_killed_while_it_writes_leaves_no_version(registry: Registry) -> None:
    code = """
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
import os, signal
with Registry(PRICE_MODEL).aside() as folder:
    (folder / "export.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert registry.versions() == []
    assert version(registry) == "v0001"


@pytest.mark.parametrize("name", ["export.json", "pipeline/stages/part-0", "manifest.json"])
@pytest.mark.parametrize(
    ("damage", "what"), [(flip, "has changed|is damaged"), (Path.unlink, "is missing")], ids=["flipped", "missing"]
)
def test_a_damaged_file_is_named_and_never_goes_live(
    registry: Registry, name: str, damage: Callable[[Path], None], what: str
) -> None:
    registry.switch(version(registry), "sound")
    damage(registry.folder / version(registry) / name)
    file = re.escape(f"v0002/{name} ")
    with pytest.raises(DataError, match=rf"{file}({what}).*lake models rollback --domain houses"):
        registry.verify("v0002")
    with pytest.raises(DataError, match=file):
        registry.switch("v0002", "better")
    assert registry.live() == "v0001"


def test_a_truncated_and_an_added_file_are_refused(registry: Registry) -> None:
    kept = registry.path(version(registry))
    (kept / "pipeline/stages/part-1").write_text("another's")  # Spark reads every part there is
    with pytest.raises(DataError, match="part-1 was added"):
        registry.verify(kept.name)
    (kept / "pipeline/stages/part-1").unlink()
    (kept / "export.json").write_text("")
    with pytest.raises(DataError, match=r"export\.json has changed"):
        registry.verify(kept.name)


def test_only_the_named_files_are_read(registry: Registry) -> None:
    kept = registry.path(version(registry))
    flip(kept / "pipeline/stages/part-0")
    registry.verify(kept.name, ["export.json"])
    with pytest.raises(DataError, match=r"other\.json is missing"):
        registry.verify(kept.name, ["other.json"])


def test_a_changed_number_in_the_manifest_is_noticed(registry: Registry) -> None:
    kept = version(registry, details={"interval": {"low": 0.8, "high": 1.25}})
    file = registry.path(kept) / "manifest.json"
    file.write_text(file.read_text().replace("1.25", "1.35"))
    with pytest.raises(DataError, match=r"manifest\.json is damaged"):
        registry.manifest(kept)


def test_a_version_folder_moved_to_another_number_is_refused(registry: Registry) -> None:
    registry.path(version(registry)).rename(registry.folder / "v0007")
    with pytest.raises(DataError, match=r"v0007/manifest\.json is damaged"):
        registry.verify("v0007")


def test_a_half_written_version_is_listed_as_damaged_and_its_number_not_given_again(registry: Registry) -> None:
    version(registry)
    (registry.folder / "v0002").mkdir()
    (registry.folder / "v0002/export.json").write_text("{")
    assert [(found.version, found.outcome) for found in registry.versions()] == [
        ("v0001", "published"),
        ("v0002", "damaged"),
    ]
    assert "v0002/manifest.json is missing" in registry.versions()[1].reason
    assert version(registry) == "v0003"


def test_a_refused_version_is_kept_but_cannot_go_live(registry: Registry) -> None:
    with pytest.raises(RefusedError, match=r"v0001 of houses\.price cannot go live: its outcome is refused"):
        registry.switch(version(registry, outcome="refused"), "anyway")
    assert registry.live() is None
    with pytest.raises(DataError, match="published or refused, not damaged"):
        version(registry, outcome="damaged")


@pytest.mark.parametrize("name", ["../v0001", "v0001/..", "v1", "registry.json", "", "/etc", "v0009", "v0001\n", ".."])
def test_only_a_version_that_is_there_has_a_path(registry: Registry, name: str) -> None:
    version(registry)
    with pytest.raises(UsageError, match=r"There is no version .* Versions: v0001\."):
        registry.path(name)


@pytest.mark.parametrize("name", ["..", "../x", "", "Houses", "a/b"])
def test_no_name_leads_out_of_the_folder(lake: Path, name: str) -> None:
    for model in (replace(PRICE_MODEL, domain=name), replace(PRICE_MODEL, name=name)):
        with pytest.raises(UsageError, match="not the name of a domain or of a model"):
            Registry(model)


def test_rollback_goes_back_step_by_step_and_forward_by_name(registry: Registry) -> None:
    for _ in range(3):
        registry.switch(version(registry), "better")
    assert registry.rollback("too high in 98103") == "v0002"
    assert registry.rollback("still") == "v0001"
    with pytest.raises(UsageError, match=r"No version of houses\.price was live before v0001"):
        registry.rollback("again")
    assert registry.rollback("it was the data", to="v0003") == "v0003"
    with pytest.raises(UsageError, match=r"v0003 of houses\.price is live already"):
        registry.rollback("twice", to="v0003")
    last = registry.switches()[-1]
    assert (last.version, last.reason, last.by) == ("v0003", "it was the data", "rollback")


def test_a_rollback_needs_a_reason_and_a_sound_version(registry: Registry) -> None:
    for _ in range(2):
        registry.switch(version(registry), "better")
    with pytest.raises(UsageError, match="needs a reason"):
        registry.rollback(" ")
    flip(registry.folder / "v0001/export.json")
    with pytest.raises(DataError, match=r"v0001/export\.json has changed"):
        registry.rollback("back")
    assert registry.live() == "v0002"


def test_the_version_of_any_moment_is_known(registry: Registry) -> None:
    for _ in range(2):
        registry.switch(version(registry), "better")
    first, second = (switch.at for switch in registry.switches())
    tick = timedelta(microseconds=1)
    assert registry.live_at(first - tick) is None
    assert registry.live_at(first) == registry.live_at(second - tick) == "v0001"
    assert registry.live_at(second) == registry.live_at(second.replace(tzinfo=None)) == "v0002"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"live": "v0002", "switches": []}', "null"])
def test_a_damaged_registry_is_named_and_mended_by_a_rollback(registry: Registry, content: str) -> None:
    registry.switch(version(registry), "the first")
    registry.file.write_text(content)
    for read in (
        registry.live,
        registry.switches,
        lambda: registry.rollback("x"),
        lambda: registry.switch("v0001", ""),
    ):
        with pytest.raises(DataError, match=r"registry\.json is damaged\. Name the version.*v0001.*--to VERSION"):
            read()
    with pytest.raises(RefusedError):
        registry.rollback("no way", to=version(registry, outcome="refused"))
    assert registry.file.read_text() == content
    assert registry.rollback("the disk was full", to="v0001") == "v0001"
    assert registry.live() == "v0001"
    assert {file.read_text() for file in registry.folder.glob("registry.damaged-*")} == {content}


def test_the_stamp_changes_with_each_switch_only(registry: Registry) -> None:
    stamps = [registry.stamp()]
    for _ in range(2):
        kept = version(registry)
        assert registry.stamp() == stamps[-1]
        registry.switch(kept, "better")
        stamps.append(registry.stamp())
    assert len(set(stamps)) == 3


def test_processes_that_keep_at_the_same_time_lose_no_version_and_no_switch(registry: Registry) -> None:
    code = """
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry
for _ in range(8):
    registry = Registry(PRICE_MODEL)
    with registry.aside() as folder:
        (folder / "export.json").write_text("{}")
        registry.switch(registry.keep(folder, Manifest(Outcome.PUBLISHED)), "better")
"""
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    names = [f"v{number:04d}" for number in range(1, 25)]
    assert [found.version for found in registry.versions()] == names
    assert sorted(switch.version for switch in registry.switches()) == names


def test_a_reader_never_sees_half_a_registry(registry: Registry) -> None:
    for _ in range(2):
        registry.switch(version(registry), "better")
    done = threading.Event()

    def switches() -> None:
        for number in range(40):
            registry.switch(f"v000{1 + number % 2}", "to and fro " * 50)
        done.set()

    writer = threading.Thread(target=switches)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add((registry.live(), len(registry.switches()) >= 2))
    writer.join()
    assert seen == {("v0001", True), ("v0002", True)}
    assert len(registry.switches()) == 42


def test_the_best_is_the_published_one_with_the_lowest_error() -> None:
    good, bad = Outcome.PUBLISHED, Outcome.REFUSED
    rows = [("v0001", good, 0.14), ("v0002", good, 0.13), ("v0003", bad, 0.1), ("v0004", good, None)]
    found = [Manifest(outcome, version=name, metrics={"mape": mape}) for name, outcome, mape in rows]
    assert manifests.best_version(found, PRICE_MODEL) == "v0002"
    assert manifests.best_version(found, replace(PRICE_MODEL, better=Better.HIGHER)) == "v0001"
    assert manifests.best_version([Manifest(Outcome.DAMAGED, version="v0001")], PRICE_MODEL) is None


def test_a_model_has_a_folder_of_its_own_and_stays_in_the_older_one(lake: Path) -> None:
    folder, other = lake / "models/houses", replace(PRICE_MODEL, name="other", was_alone=False)
    assert Registry(PRICE_MODEL).folder == folder / "price"
    version(Registry(PRICE_MODEL))
    version(Registry(other))
    assert Registry(PRICE_MODEL).folder == folder / "price"
    (folder / "price").rename(lake / "models/older")
    shutil.rmtree(folder)
    (lake / "models/older").rename(folder)  # as it was before a domain could have several models
    older = Registry(PRICE_MODEL)
    assert (older.folder, older.names()) == (folder, ["v0001"])
    older.switch("v0001", "goes on")
    assert (version(older), Registry(PRICE_MODEL).live()) == ("v0002", "v0001")
    assert version(Registry(other)) == "v0001"
    assert Registry(PRICE_MODEL).names() == ["v0001", "v0002"]
