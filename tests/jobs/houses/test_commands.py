"""`lake price` and `lake explain` as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.houses import commands
from jobs.houses.price_model import what_if
from jobs.houses.price_model.house_columns import FACTS
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.schema import PRICE_MODEL
from lakehouse.errors import UsageError
from lakehouse.models.registry import Registry
from lakehouse.settings import ROOT
from tests.jobs.houses.price_model import fitting


@pytest.fixture
def house(lake: Path) -> str:
    """A house that two versions price differently."""
    registry = Registry(PRICE_MODEL)
    fitting.publish(registry)
    fitting.publish(registry, factor=2.0)
    return str(fitting.real_houses().ids[10])


def lake_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `lake` as a process of its own, where importing Spark is an error."""
    program = "import sys; sys.modules['pyspark'] = None; from lakehouse.cli.main import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)


def test_price_as_text_and_json(house: str) -> None:
    shown = lake_command("price", house)
    assert shown.returncode == 0, shown.stderr
    assert "80 %" in shown.stdout
    assert "Model v0002" in shown.stdout
    price = json.loads(lake_command("price", house, "--json").stdout)
    assert price["id"] == house
    assert f"${price['price']:,.0f}" in shown.stdout
    assert price["low"] < price["price"] < price["high"]
    better = json.loads(lake_command("price", house, "--json", "--set", "grade=13").stdout)
    assert better["price"] > price["price"]


def test_an_unknown_house_is_named_with_ids_like_it(house: str) -> None:
    shown = lake_command("price", house[:-1] + "x")
    assert shown.returncode == 1
    assert house in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("grade", "--set takes fact=number; got 'grade'. For example --set grade=9."),
        ("grade=", "grade must be a number from 1 to 13; got ''."),
        ("grade=14", "grade must be a number from 1 to 13; got '14'."),
        ("lat=inf", "lat must be a number from -90 to 90; got 'inf'."),
        ("sqft_lot=1000000001", "sqft_lot must be a number from 0 to 1000000000; got '1000000001'."),
        ("colour=1", "colour is not a fact of a house."),
    ],
)
def test_a_change_that_cannot_be_is_a_usage_error_with_its_bounds(house: str, change: str, sentence: str) -> None:
    """The same sentences as the API's (tests/dashboard/pages/houses/test_price_api.py)."""
    shown = lake_command("price", house, "--set", change)
    assert (shown.returncode, shown.stderr.startswith(f"Error: {sentence}")) == (2, True), shown.stderr


def test_a_change_given_twice_is_a_usage_error(house: str) -> None:
    shown = lake_command("price", house, "--set", "grade=9", "--set", "grade=10")
    assert (shown.returncode, "grade is given more than once" in shown.stderr) == (2, True)


def test_a_fact_out_of_bounds_is_refused(house: str) -> None:
    with pytest.raises(UsageError, match="grade must be a number from 1 to 13; got 14"):
        Pricer().price(house, {"grade": 14.0})
    assert {*what_if.FACTS} == {*FACTS}


def test_declaring_a_domain_needs_neither_arrow_nor_numpy() -> None:
    """`lake price` answers in under a second, and its bounds stand in the schema."""
    program = (
        "import sys; import jobs.houses.schema; print({'pyarrow', 'deltalake', 'numpy', 'pyspark'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_explain_answers_as_the_version_of_then(house: str) -> None:
    first, second = Registry(PRICE_MODEL).switches()
    between = (first.at + (second.at - first.at) / 2).isoformat()
    then = json.loads(lake_command("explain", house, "--at", between, "--json").stdout)
    now = json.loads(lake_command("explain", house, "--json").stdout)
    assert (then["version"], now["version"]) == ("v0001", "v0002")
    assert now["price"] > then["price"] * 1.5
    before = lake_command("explain", house, "--at", "2001-01-01")
    assert before.returncode == 1
    assert "No model was live at 2001-01-01 00:00:00 UTC" in before.stderr
    elsewhere = lake_command("explain", house, "--at", "2001-01-01T05:30+05:30").stderr
    assert elsewhere == before.stderr


def test_a_time_that_is_none(house: str) -> None:
    assert lake_command("explain", house, "--at", "yesterday").returncode == 2


def test_the_commands_of_the_domain_are_its_app() -> None:
    assert {command.callback.__name__ for command in commands.app.registered_commands if command.callback} == {
        "price",
        "explain",
    }
