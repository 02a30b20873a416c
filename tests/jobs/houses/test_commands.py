"""`lake price` and `lake explain` as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.houses import commands
from lakehouse.models import Registry
from lakehouse.settings import ROOT
from tests.jobs.houses import fitting


@pytest.fixture
def house(lake: Path) -> str:
    """A house that two versions price differently."""
    registry = Registry("houses")
    fitting.publish(registry)
    fitting.publish(registry, factor=2.0)
    return str(fitting.real_houses().ids[10])


def lake_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `lake` as a process of its own, where importing Spark is an error."""
    program = "import sys; sys.modules['pyspark'] = None; from lakehouse.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)


def test_price_as_text_and_json(house: str) -> None:
    shown = lake_command("price", house)
    assert shown.returncode == 0, shown.stderr
    assert "80 %" in shown.stdout
    assert "Model v0002" in shown.stdout
    told = json.loads(lake_command("price", house, "--json").stdout)
    assert told["id"] == house
    assert f"${told['price']:,.0f}" in shown.stdout
    assert told["low"] < told["price"] < told["high"]
    better = json.loads(lake_command("price", house, "--json", "--set", "grade=13").stdout)
    assert better["price"] > told["price"]


def test_an_unknown_house_is_told_with_ids_like_it(house: str) -> None:
    shown = lake_command("price", house[:-1] + "x")
    assert shown.returncode == 1
    assert house in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_change_that_is_none_is_a_usage_error(house: str) -> None:
    for wrong in ("grade", "grade=", "colour=1"):
        assert lake_command("price", house, "--set", wrong).returncode == 2


def test_explain_answers_as_the_version_of_then(house: str) -> None:
    first, second = Registry("houses").switches()
    between = (first.at + (second.at - first.at) / 2).isoformat()
    then = json.loads(lake_command("explain", house, "--at", between, "--json").stdout)
    now = json.loads(lake_command("explain", house, "--json").stdout)
    assert (then["version"], now["version"]) == ("v0001", "v0002")
    assert now["price"] > then["price"] * 1.5
    before = lake_command("explain", house, "--at", "2001-01-01")
    assert before.returncode == 1
    assert "No model was live at 2001-01-01" in before.stderr


def test_a_time_that_is_none(house: str) -> None:
    assert lake_command("explain", house, "--at", "yesterday").returncode == 2


def test_the_commands_of_the_domain_are_its_app() -> None:
    assert {command.callback.__name__ for command in commands.app.registered_commands if command.callback} == {
        "price",
        "explain",
    }
