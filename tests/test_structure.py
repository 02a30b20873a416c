"""The layout that lets a new domain be a new folder: what each domain has. Who may import whom: pyproject.toml."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakehouse.contract import discovery
from lakehouse.settings import ROOT

REQUIRED = ("schema.py", "transforms.py", "produce.py", "stream.py")
OURS = {"lakehouse", "jobs", "dashboard", "tests"}


def imports(file: Path) -> set[str]:
    """Modules of ours that the file imports, by their full names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".", 1)[0] in OURS}


@pytest.mark.parametrize("name", discovery.domains())
def test_a_domain_has_all_its_parts(name: str) -> None:
    places = [ROOT / "jobs" / name / part for part in REQUIRED]
    places += [ROOT / "dashboard/pages" / name, ROOT / "tests/jobs" / name, ROOT / "data" / name]
    missing = [str(place.relative_to(ROOT)) for place in places if not place.exists()]
    assert not missing, f"domain {name} lacks {', '.join(missing)}"
    loaded = discovery.load(name)
    assert loaded.name == name
    assert all(table.domain == name for table in loaded.tables)
    stored = {table.name for stores in loaded.query_tables.values() for table in stores.tables}
    assert {*stored, loaded.dead_letters.name} <= {table.name for table in loaded.tables}


def test_no_domain_imports_another_or_the_dashboard() -> None:
    for name in discovery.domains():
        for file in (ROOT / "jobs" / name).rglob("*.py"):
            foreign = {
                found
                for found in imports(file)
                if found.split(".")[0] != "lakehouse" and not f"{found}.".startswith(f"jobs.{name}.")
            }
            assert foreign <= {"jobs"}, f"{file.relative_to(ROOT)} imports {foreign}"


def test_the_dashboard_runs_where_there_is_no_spark() -> None:
    """What a page uses of its domain needs no JVM: `lake price` and the page answer with the same code."""
    files = sorted((ROOT / "dashboard").rglob("*.py"))
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    code = (
        "import importlib, sys; sys.modules['pyspark'] = None\nfor name in sys.argv[1:]: importlib.import_module(name)"
    )
    done = subprocess.run([sys.executable, "-c", code, *modules], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# What gives Python a frame's rows with naive times of the process's zone, or lets Python run on them.
NAIVE = {"collect", "toPandas", "toLocalIterator", "first", "foreach", "foreachPartition", "rdd"}
NAIVE |= {"udf", "pandas_udf", "mapInPandas", "applyInPandas"}


def naive(source: str) -> list[int]:
    """The lines on which rows leave Spark by other ways than Arrow."""
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in NAIVE]
    return [node.lineno for node in found if not (isinstance(node.value, ast.Name) and node.value.id == "gc")]


def test_no_naive_time_leaves_spark() -> None:
    """Rows leave it by `session.collect` or `toArrow`, whose times are in UTC and say so."""
    files = [file for folder in ("lakehouse", "jobs", "dashboard") for file in (ROOT / folder).rglob("*.py")]
    wrong = [f"{file.relative_to(ROOT)}:{line}" for file in files for line in naive(file.read_text())]
    assert not wrong, f"use lakehouse.spark.session.collect in {', '.join(wrong)}"
    assert naive("rows = frame.collect()\ngc.collect()\nframe.toArrow()\nframe.where(x).first()") == [1, 4]


@pytest.mark.skipif("CI" not in os.environ, reason="Only .ci/run says where tests run.")
def test_ci_is_west_of_utc_and_without_a_locale() -> None:
    assert time.localtime().tm_gmtoff < 0, "the zone of .ci/run is not known here: apt install tzdata"
    assert not {"LANG", "LC_ALL", "LANGUAGE"} & {*os.environ}


def test_the_history_is_never_vacuumed_early() -> None:
    """No file switches off Delta's check of the retention of a history table."""
    for folder in ("lakehouse", "jobs", "conf"):
        for file in (ROOT / folder).rglob("*.*"):
            if file.suffix in (".py", ".conf", ".toml"):
                assert "retentionDurationCheck" not in file.read_text(), file.relative_to(ROOT)
