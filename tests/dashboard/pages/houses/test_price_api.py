"""GET /api/houses/<id>/price: the pricer's own answer, or a sentence and the right status."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from dashboard import app
from dashboard.live import snapshot
from dashboard.live.snapshot import Live
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.schema import PRICE_MODEL
from lakehouse.models.registry import Registry
from tests.jobs.houses.price_model import fitting

Publish = Callable[..., str]
HOUSE = str(fitting.real_houses().ids[7])


@pytest.fixture
def client(lake: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(snapshot, "_live", Live(()))
    return app.create_app().server.test_client()


def test_the_answer_is_that_of_the_pricer(client: FlaskClient, publish: Publish) -> None:
    publish()
    response = client.get(f"/api/houses/{HOUSE}/price")
    assert (response.status_code, response.content_type) == (200, "application/json")
    answer = response.json
    assert answer["price"] == Pricer().price(HOUSE).price
    assert answer["version"] == "v0001"
    parts = answer["baseline"] + sum(part["dollars"] for part in answer["contributions"])
    assert parts == pytest.approx(answer["price"], rel=1e-9)
    assert len(answer["comparables"]) == 5


def test_facts_can_be_changed(client: FlaskClient, publish: Publish) -> None:
    publish()
    answer = client.get(f"/api/houses/{HOUSE}/price?grade=11&sqft_living=3000").json
    assert answer["price"] == Pricer().price(HOUSE, {"grade": 11.0, "sqft_living": 3000.0}).price
    assert answer["changed"] == {"grade": 11.0, "sqft_living": 3000.0}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("colour=1", "colour is not a fact of a house."),
        ("price=1", "price is not a fact of a house."),
        ("grade=high", "grade must be a number from 1 to 13; got 'high'."),
        ("grade=nan", "grade must be a number from 1 to 13"),
        ("grade=14", "got '14'"),
        ("lat=inf", "lat must be a number from -90 to 90"),
        ("grade=8&grade=9", "grade is given more than once."),
    ],
)
def test_a_bad_parameter_is_named(client: FlaskClient, publish: Publish, query: str, words: str) -> None:
    publish()
    response = client.get(f"/api/houses/{HOUSE}/price?{query}")
    assert response.status_code == 400
    assert words in response.json["error"]


def test_an_unknown_house_is_not_found_and_the_nearest_are_named(client: FlaskClient, publish: Publish) -> None:
    publish()
    wrong = HOUSE[:-1] + ("1" if HOUSE[-1] != "1" else "2")
    response = client.get(f"/api/houses/{wrong}/price")
    assert response.status_code == 404
    assert wrong in response.json["error"]
    assert HOUSE in response.json["nearest"]


def test_without_a_model_the_command_is_named(client: FlaskClient) -> None:
    response = client.get(f"/api/houses/{HOUSE}/price")
    assert response.status_code == 503
    assert "./spark-submit.sh jobs/houses/train.py" in response.json["error"]


def test_a_damaged_model_is_a_sentence(client: FlaskClient, publish: Publish) -> None:
    folder = Registry(PRICE_MODEL).path(publish())
    for file in folder.glob("*.json"):
        file.write_text("{")
    response = client.get(f"/api/houses/{HOUSE}/price")
    assert response.status_code == 503
    assert "v0001" in response.json["error"]


def test_the_next_answer_after_a_switch_is_the_new_ones(client: FlaskClient, publish: Publish) -> None:
    publish()
    first = client.get(f"/api/houses/{HOUSE}/price").json
    publish(factor=2.0)
    second = client.get(f"/api/houses/{HOUSE}/price").json
    assert (first["version"], second["version"]) == ("v0001", "v0002")
    assert second["price"] == pytest.approx(2 * first["price"])
