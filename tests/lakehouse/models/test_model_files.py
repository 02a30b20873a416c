"""A model's files are data: a pickle, a stage of another class and a bomb are refused by name, before they are read."""

import io
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.houses.schema import PRICE_MODEL
from lakehouse.errors import DataError
from lakehouse.models import safe_arrays, safe_pipelines
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry

STAGES = {
    "metadata": "org.apache.spark.ml.PipelineModel",
    "stages/0_index/metadata": "org.apache.spark.ml.feature.StringIndexerModel",
    "stages/1_regression/metadata": "org.apache.spark.ml.regression.LinearRegressionModel",
}


class Runs:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path("/tmp/lake-was-here").touch, ())


def write_pipeline(folder: Path, **replaced: str) -> None:
    """The metadata of a saved pipeline as Spark lays it out."""
    for place, named in STAGES.items():
        (folder / place).mkdir(parents=True)
        text = json.dumps({"class": replaced.get(place.split("/")[-2] if "/" in place else "", named), "uid": "x"})
        (folder / place / "part-00000-1.txt").write_text(text)


def published(registry: Registry, **replaced: str) -> str:
    """A version with a pipeline, sealed: as somebody who knows the checksums would leave it."""
    with registry.aside() as folder:
        write_pipeline(folder / "spark", **replaced)
        return registry.keep(folder, Manifest(Outcome.PUBLISHED))


def packed(**members: bytes) -> bytes:
    """A zip file of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def member(array: Any, **header: Any) -> bytes:
    """An array as .npy, with its header's `shape` changed if wanted."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {**np.lib.format.header_data_from_array_1_0(np.asarray(array)), **header}
    )
    return buffer.getvalue() + np.asarray(array).tobytes()


def test_a_sound_pipeline_passes(tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    safe_pipelines.check_stages(tmp_path)
    safe_pipelines.check_stages(tmp_path, {*STAGES.values()})


@pytest.mark.parametrize(
    "named", ["org.example.Payload", "java.lang.ProcessBuilder", "org.apache.spark.ml.Pipeline", ""]
)
def test_an_unknown_class_is_refused_and_the_live_model_stays(lake: Path, named: str) -> None:
    registry = Registry(PRICE_MODEL)
    registry.switch(published(registry), "sound")
    other = published(registry, **{"0_index": named})
    with pytest.raises(DataError, match=rf"v0002/spark/stages/0_index/metadata/part-00000-1.txt names .*{named}"):
        registry.switch(other, "planted")
    assert registry.live() == "v0001"


def test_a_stage_that_is_sparks_but_not_ours_is_refused_by_the_domain(tmp_path: Path) -> None:
    write_pipeline(tmp_path, **{"0_index": "org.apache.spark.ml.feature.SQLTransformer"})
    safe_pipelines.check_stages(tmp_path)
    with pytest.raises(DataError, match="SQLTransformer"):
        safe_pipelines.check_stages(tmp_path, {*STAGES.values()})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_metadata_without_a_class_is_refused(tmp_path: Path, text: str) -> None:
    write_pipeline(tmp_path)
    (tmp_path / "metadata/part-00000-1.txt").write_text(text)
    with pytest.raises(DataError, match=r"metadata/part-00000-1\.txt does not say which class"):
        safe_pipelines.check_stages(tmp_path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("sealed", [True, False])
def test_a_planted_pickle_is_refused_and_the_live_model_stays(lake: Path, protocol: int, sealed: bool) -> None:
    registry = Registry(PRICE_MODEL)
    registry.switch(published(registry), "sound")
    planted = pickle.dumps(Runs(), protocol)
    with registry.aside() as folder:
        write_pipeline(folder / "spark")
        if sealed:
            (folder / "model.json").write_bytes(planted)
        version = registry.keep(folder, Manifest(Outcome.PUBLISHED))
    if not sealed:
        (registry.path(version) / "model.json").write_bytes(planted)
    with pytest.raises(DataError, match=r"v0002/model\.json " + ("is a pickle" if sealed else "was added")):
        registry.switch(version, "planted")
    assert registry.live() == "v0001"
    assert not Path("/tmp/lake-was-here").exists()


def spoilt(data: bytes) -> bytes:
    """The archive with what it packs made unreadable: no valid kind of block begins with these bits."""
    at = 30 + int.from_bytes(data[26:28], "little") + int.from_bytes(data[28:30], "little")
    return data[:at] + b"\xff" * 8 + data[at + 8 :]


def locked(data: bytes) -> bytes:
    """The archive with its members marked as encrypted, in their own headers and in the list of contents."""
    own = data.replace(b"PK\x03\x04" + data[4:8], b"PK\x03\x04" + data[4:6] + b"\x01\x00")
    at = own.index(b"PK\x01\x02") + 8
    return own[:at] + b"\x01\x00" + own[at + 2 :]


def test_arrays_come_back_as_they_were() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, ids=np.array(["a", "bc"]), prices=np.array([1.5, np.nan]))
    arrays = safe_arrays.load_arrays(buffer.getvalue(), "houses.npz")
    assert arrays["ids"].tolist() == ["a", "bc"]
    assert np.array_equal(arrays["prices"], [1.5, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not a readable \\.npz file"),
        (pickle.dumps(Runs()), "is not a readable \\.npz file"),
        (packed(ids=pickle.dumps(Runs())), "is not a readable \\.npz file"),
        (packed(ids=member(np.zeros(3), descr="|O")), "has Python objects in ids.npy"),
        (packed(ids=member(np.zeros(3), shape=(10**12,))), "has 152 bytes in ids.npy; its header says 8,000,000,0"),
        (packed(ids=member(np.zeros(3), shape=(2,))), "has 152 bytes in ids.npy; its header says 144"),
        (spoilt(packed(ids=member(np.arange(1000.0)))), "is not a readable \\.npz file"),
        (locked(packed(ids=member(np.zeros(3)))), "is not a readable \\.npz file"),
    ],
    ids=["empty", "pickle", "pickle inside", "objects", "8 TB promised", "more than promised", "spoilt", "locked"],
)
def test_what_is_no_file_of_arrays_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(DataError, match=rf"houses\.npz {sentence}"):
        safe_arrays.load_arrays(data, "houses.npz")
    assert not Path("/tmp/lake-was-here").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_arrays, "MOST_BYTES", 16 * 1024 * 1024)
    bomb = packed(ids=member(np.zeros(64 * 1024 * 1024, np.uint8)))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(
            DataError, match=r"houses\.npz would unpack to 67,108,\d+ bytes; at most 16,777,216 are allowed"
        ):
            safe_arrays.load_arrays(bomb, "houses.npz")
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_bomb_that_lies_about_its_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its list of contents says 128 bytes; what unpacks is larger, and is not believed."""
    honest = packed(ids=member(np.zeros(1024 * 1024, np.uint8)))
    size = (1024 * 1024 + 128).to_bytes(4, "little")
    assert honest.count(size) >= 1
    with pytest.raises(DataError, match=r"houses\.npz"):
        safe_arrays.load_arrays(honest.replace(size, (128).to_bytes(4, "little")), "houses.npz")


def test_a_file_is_read_once_and_compared_with_its_checksum(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(PRICE_MODEL)
    version = published(registry)
    name = "spark/metadata/part-00000-1.txt"
    file = registry.path(version) / name
    assert registry.content(version, name) == file.read_bytes()
    with (
        monkeypatch.context() as patch,
        pytest.raises(DataError, match="is larger than the 10 bytes"),
    ):
        patch.setattr("lakehouse.models.versions._LARGEST", 10)
        registry.content(version, name)
    file.write_text(file.read_text().replace("PipelineModel", "PipelineMxdel"))
    with pytest.raises(DataError, match=r"part-00000-1\.txt has changed since it was written"):
        registry.content(version, name)
    with pytest.raises(DataError, match="nothing is missing"):
        registry.content(version, "nothing")
