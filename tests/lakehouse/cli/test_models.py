"""`lake models` as a user meets it, commands that a domain brings, and what `lake` imports at its start."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import jobs
from jobs.houses.schema import PRICE_MODEL
from lakehouse.cli import main
from lakehouse.contract import discovery
from lakehouse.models import comparison
from lakehouse.models.manifests import Manifest, Outcome
from lakehouse.models.registry import Registry


def run(var: Path, *arguments: str, width: int = 200) -> subprocess.CompletedProcess[str]:
    """Run the installed command over a lake of one's own."""
    command = [str(Path(sys.executable).parent / "lake"), *arguments]
    env = {**os.environ, "LAKE_VAR": str(var), "NO_COLOR": "1", "COLUMNS": str(width)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd="/")


def version(registry: Registry, mape: float, outcome: str = "published", **details: Any) -> str:
    """A version with the manifest that training writes, shortened."""
    manifest = Manifest(
        Outcome(outcome),
        f"MAPE {mape:.1%} [stands]",
        trained_at="2026-11-22T02:15:07+00:00",
        cut_off="2015-05-27T00:00:00+00:00",
        rows={"distinct": 21436, "training": 17000},
        metrics={"mape": mape, "r2": 0.87, "rmse": 123456.7},
        details={"features": ["sqft_living", "grade"], **details},
    )
    with registry.aside() as folder:
        (folder / "export.json").write_text("{}")
        return registry.keep(folder, manifest)


@pytest.fixture
def three(lake: Path) -> Registry:
    """v0001 and v0002 published and live one after the other, v0003 refused."""
    registry = Registry(PRICE_MODEL)
    registry.switch(version(registry, 0.125), "the first")
    registry.switch(version(registry, 0.13, features=["sqft_living", "age"]), "within 2 %: 4 % more")
    version(registry, 0.2, outcome="refused")
    return registry


def test_list_shows_newest_first_with_live_and_best(lake: Path, three: Registry) -> None:
    lines = run(lake, "models", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["v0003", "refused", "20.00%"],
        ["v0002", "published", "live"],
        ["v0001", "published", "best"],
    ]
    assert all(text in lines[2] for text in ("13.00%", "0.87", "21,436", "2015-05-27", "2026-11-22 02:15"))
    assert lines[7].split() == ["v0002", "MAPE", "13.0%", "[stands]"]
    assert run(lake, "models", "list", width=80).stdout.splitlines()[2].rstrip() == lines[2].rstrip()  # not squeezed
    versions = json.loads(run(lake, "models", "list", "--json").stdout)
    assert [(row["version"], row["live"], row["best"], row["mape"]) for row in versions] == [
        ("v0003", False, False, 0.2),
        ("v0002", True, False, 0.13),
        ("v0001", False, True, 0.125),
    ]


def test_a_damaged_version_is_listed_and_shown_as_such(lake: Path, three: Registry) -> None:
    (three.folder / "v0003/manifest.json").write_text("{")
    (three.folder / "v0002/export.json").write_text("{ }")
    listed = run(lake, "models", "list")
    assert (listed.returncode, "v0003/manifest.json is damaged" in listed.stdout) == (0, True)
    assert "v0002/export.json has changed since it was written" in run(lake, "models", "show", "v0002").stdout
    shown = run(lake, "models", "show", "v0003")
    assert (shown.returncode, shown.stderr.count("\n")) == (65, 1)
    assert "v0003/manifest.json is damaged. Let another version go live: `lake models rollback" in shown.stderr


def test_show_tells_metrics_files_and_switches(lake: Path, three: Registry) -> None:
    shown = run(lake, "models", "show", "v0001").stdout
    words = ("metrics.mape", "12.50%", "123,457", "sqft_living, grade", "All 2 files", "the first", "v0002 is live now")
    assert [word for word in words if word not in shown] == []
    assert "It never went live." in run(lake, "models", "show", "v0003").stdout
    manifest = json.loads(run(lake, "models", "show", "v0002", "--json").stdout)
    assert (manifest["is_live"], manifest["damage"], manifest["metrics"]["r2"]) == (True, None, 0.87)
    assert [(switch["by"], switch["reason"]) for switch in manifest["switches"]] == [("train", "within 2 %: 4 % more")]


def test_compare_shows_both_and_what_lies_between(lake: Path, three: Registry) -> None:
    lines = {line.split()[0]: line for line in run(lake, "models", "compare", "v0001", "v0002").stdout.splitlines()[1:]}
    assert lines["metrics.mape"].split()[1:] == ["12.50%", "13.00%", "+0.50", "points", "(+4.0%)"]
    assert "gone: grade; new: age" in lines["features"]
    found = json.loads(run(lake, "models", "compare", "v0001", "v0002", "--json").stdout)
    assert found["versions"]["v0001"]["metrics.mape"] == 0.125
    assert found["differences"]["metrics.mape"] == pytest.approx(0.005)
    assert found["differences"]["features"] == {"gone": ["grade"], "new": ["age"]}
    assert "metrics.r2" not in found["differences"]


def test_what_only_one_version_has_is_shown() -> None:
    one = Manifest(Outcome.PUBLISHED, seconds=3, details={"live": None})
    other = Manifest(Outcome.PUBLISHED, details={"live": {"version": "v1"}})
    lines = {line.name: line for line in comparison.compare(one, other, {})}
    assert (lines["seconds"].values, lines["live.version"].values) == ((3, None), (None, "v1"))
    assert lines["seconds"].shown == "differs"


def test_rollback_switches_and_says_so(lake: Path, three: Registry) -> None:
    done = run(lake, "models", "rollback", "--reason", "too high in 98103")
    assert (done.returncode, done.stdout.strip()) == (0, "v0001 of houses.price is live, v0002 was.")
    done = run(lake, "models", "rollback", "--to", "v0002", "--reason", "it was the data")
    assert done.stdout.strip() == "v0002 of houses.price is live, v0001 was."
    assert [switch.reason for switch in three.switches()[2:]] == ["too high in 98103", "it was the data"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (
            ("rollback", "--to", "v0003", "--reason", "x"),
            78,
            "Error: v0003 of houses.price cannot go live: its outcome is",
        ),
        (
            ("rollback", "--to", "../x", "--reason", "x"),
            2,
            "Error: There is no version '../x' of houses.price. Versions: v0001,",
        ),
        (("rollback", "--reason", ""), 2, "Error: A switch needs a reason."),
        (("show", "v0009"), 2, "Error: There is no version 'v0009' of houses.price. Versions: v0001, v0002, v0003."),
        (("list", "--domain", "cheese"), 2, "Error: There is no domain 'cheese'. Domains: "),
    ],
)
def test_an_error_is_one_sentence(
    lake: Path, three: Registry, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = run(lake, "models", *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert done.stderr.startswith(sentence)
    assert three.live() == "v0002"


def test_without_models_the_way_to_one_is_named(lake: Path) -> None:
    done = run(lake, "models", "list")
    assert (done.returncode, done.stderr.startswith("Error: There is no model yet. Train one:")) == (69, True)
    done = run(lake, "models", "list", "--domain", "production")
    assert done.stderr.startswith("Error: There is no model of production yet. Train one:")
    done = run(lake, "models", "list", "--model", "cost")
    assert (done.returncode, done.stderr) == (2, "Error: There is no model 'cost'. Models: houses.price.\n")


STUB = """
import typer

app = typer.Typer()


@app.command()
def {name}(item: str) -> None:
    typer.echo(f"stub answers {{item}}")
"""


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of domains beside jobs/; what it brings is forgotten at the end."""
    monkeypatch.setattr(jobs, "__path__", [str(tmp_path / "jobs")])
    monkeypatch.setattr(main.app, "registered_groups", list(main.app.registered_groups))
    for name in ("good", "taken", "broken", "none", "empty"):
        (tmp_path / "jobs" / name).mkdir(parents=True)
        (tmp_path / "jobs" / name / "__init__.py").write_text("")
        monkeypatch.delitem(sys.modules, f"jobs.{name}", raising=False)
    for name, text in (
        ("good", STUB.format(name="appraise")),
        ("taken", STUB.format(name="status")),
        ("broken", "import no_such_module"),
        ("empty", ""),
    ):
        (tmp_path / "jobs" / name / "commands.py").write_text(text)
    return tmp_path / "jobs"


def test_a_domain_brings_commands_and_a_broken_one_takes_none_away(
    stubs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main.add_domain_commands()
    main.app(["appraise", "7"], standalone_mode=False)
    output = capsys.readouterr()
    assert output.out == "stub answers 7\n"
    warnings = output.err.splitlines()
    assert len(warnings) == 3
    assert "domain broken cannot be used: ModuleNotFoundError: No module named 'no_such_module'" in warnings[0]
    assert "domain empty cannot be used: jobs/empty/commands.py has no `app`" in warnings[1]
    assert "domain taken cannot be used: There is a command `status` already." in warnings[2]
    assert discovery.commands("none") is None


def test_the_command_starts_without_what_is_slow_to_import(lake: Path) -> None:
    code = "import lakehouse.cli.main as c, sys; c.add_domain_commands(); print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {
        "structlog",
        "numpy",
        "pandas",
        "pyarrow",
        "deltalake",
        "pyspark",
        "rich.console",
        "confluent_kafka",
        "psutil",
    }
    assert slow & set(done.stdout.split()) == set()
    assert done.stderr == ""
