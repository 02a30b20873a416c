"""What a table that cannot be read advises: the repair of that fault, and never what deletes events."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.houses.schema import AVERAGES, AVERAGES_BATCH, HISTORY
from lakehouse.settings import ROOT
from lakehouse.tables import loads, table_io
from lakehouse.tables.reader import TableReader
from lakehouse.tables.table_io import Table

HISTORYS = "Restore the file from a copy; without one, `lake rebuild houses.history` reads its rows from the topic"
COORDINATES = ("topic", "partition", "offset")


@pytest.fixture
def history(lake: Path) -> Path:
    """A history of three commits after its first."""
    for n in range(3):
        row = {"topic": "houses", "partition": 0, "offset": n}
        table_io.append(table_io.create(HISTORY), table_io.rows(HISTORY, [row]), "t", n)
    return HISTORY.path


def advice(table: Table) -> str:
    reading = TableReader(table, loads.newest(5, COORDINATES)).read()
    assert reading.state == "error"
    assert "reset" not in reading.error
    return reading.error


def commit(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020}.json"


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a data file is lost": (lambda table: next(table.glob("*.parquet")).unlink(), HISTORYS),
    "a data file is cut off": (lambda table: [f.write_bytes(b"PAR1") for f in table.glob("*.parquet")], HISTORYS),
    "a commit is torn": (lambda table: commit(table, 2).write_text("{ torn"), f"is cut off or is not JSON. {HISTORYS}"),
    "a commit is lost": (lambda table: commit(table, 2).unlink(), f"{2:020}.json is missing. {HISTORYS}"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lost_or_damaged_file_is_brought_back_from_a_copy_or_the_topic(history: Path, fault: str) -> None:
    strike, words = FAULTS[fault]
    strike(history)
    assert words in advice(HISTORY)


@pytest.mark.parametrize(
    "protocol",
    [
        {"minReaderVersion": 9, "minWriterVersion": 9},
        {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["new"], "writerFeatures": ["new"]},
    ],
)
def test_a_newer_protocol_is_no_damage(history: Path, protocol: dict[str, object]) -> None:
    file = commit(history, 3)
    file.write_text(file.read_text().rstrip() + "\n" + json.dumps({"protocol": protocol}) + "\n")
    assert "has raised its protocol; nothing is lost" in advice(HISTORY)


def test_a_view_is_rebuilt_and_a_batch_table_written_again(history: Path) -> None:
    for table in (AVERAGES, AVERAGES_BATCH):
        table_io.create(table)
        commit(table.path, 0).write_text("{ torn")
    assert "`lake rebuild houses.averages` reads" in advice(AVERAGES)
    assert f"move the folder {AVERAGES_BATCH.path} away: `lake nightly` computes the table again" in advice(
        AVERAGES_BATCH
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as another user")
@pytest.mark.parametrize("part", ["_delta_log", "_delta_log/00000000000000000002.json", "."])
def test_a_file_that_may_not_be_read_asks_for_the_right(lake: Path, history: Path, part: str) -> None:
    for folder in lake.parents:
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    (history / part).chmod(0o600)
    code = """
import sys
from tests.lakehouse.tables.test_repair_advice import *
print(TableReader(HISTORY, loads.newest(5, COORDINATES)).read().error)
"""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-B", "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(nobody, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert f"Give the user who reads it the rights to {history}." in done.stdout


def test_nothing_in_code_advises_what_deletes() -> None:
    """`lake reset` is offered by nobody but its own help."""
    for file in [
        *(ROOT / "lakehouse").rglob("*.py"),
        *(ROOT / "jobs").rglob("*.py"),
        *(ROOT / "dashboard").rglob("*.py"),
    ]:
        assert not re.search(r"lake reset|rm -r", file.read_text().replace("`lake reset` deletes files", "")), file
