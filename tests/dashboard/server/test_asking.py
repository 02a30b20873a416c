"""Asking by HTTP: each way in which a request ends has its status, and none is promised without a broker."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flask
import pytest
from flask.testing import FlaskClient

from dashboard.server import asking
from lakehouse.asking.asker import Question
from lakehouse.asking.requests import new_id
from lakehouse.contract.topics import Topic
from lakehouse.core.net import free_port
from lakehouse.errors import DataError
from lakehouse.kafka import topics
from lakehouse.settings import settings
from tests.e2e.running import wait_for

PATH = "/api/echo/requests"


def encode(request: Mapping[str, Any]) -> bytes:
    if "text" not in request:
        raise DataError("text: missing.")
    return json.dumps(request).encode()


ECHO = Question("echo", "texts", Topic("web.asked", 1, "", encoded_by_us=True), Topic("web.answered", 1, ""), encode)


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    server = flask.Flask("echo")
    asking.add_routes(server, PATH, ECHO)
    yield server.test_client()
    asking.desk(server).close()


def accepted(client: FlaskClient) -> Any:
    """The answer to a request; None where the broker is too busy to take it in time."""
    taken = client.post(PATH, json={"text": "hello"})
    return taken if taken.status_code == 202 else None


@pytest.mark.e2e
def test_ask(lake: Path, broker: str, monkeypatch: pytest.MonkeyPatch, client: FlaskClient) -> None:
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", broker)
    settings.cache_clear()
    topics.ensure(broker, [ECHO.requests, ECHO.answers])
    taken = wait_for(lambda: accepted(client), 60, "a broker that takes a request")
    assert taken.json is not None
    assert taken.headers["Location"] == taken.json["address"] == f"{PATH}/{taken.json['id']}"
    state = client.get(taken.json["address"])
    assert (state.status_code, state.json["state"], state.headers["Retry-After"]) == (200, "queued", "1")  # type: ignore[index]
    again = client.post(PATH, json={"text": "hello", "request_id": taken.json["id"]})
    assert (again.status_code, again.json) == (202, taken.json)
    assert client.post(PATH, json={"text": "bye", "request_id": taken.json["id"]}).status_code == 409
    rejected = client.post(PATH, json={})
    assert (rejected.status_code, rejected.json["error"]) == (422, "text: missing.")  # type: ignore[index]
    assert client.get(rejected.json["address"]).json["state"] == "rejected"  # type: ignore[index]


def test_without_a_broker(lake: Path, monkeypatch: pytest.MonkeyPatch, client: FlaskClient) -> None:
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    settings.cache_clear()
    request_id = new_id()
    refused = client.post(PATH, json={"text": "hello", "request_id": request_id})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert refused.json is not None
    assert refused.json["error"].startswith("The broker has not taken the request within 2 s: ")
    assert refused.json["error"].endswith(" Ask again with the same id.")
    assert refused.json["id"] == request_id
    assert client.get(f"{PATH}/{request_id}").status_code == 404
    invalid = client.post(PATH, json={"request_id": request_id})  # the broker may have the other one
    assert (invalid.status_code, "asked before with another content" in invalid.json["error"]) == (409, True)  # type: ignore[index]


def test_a_client_without_an_id_gets_one_to_ask_again_with(
    lake: Path, monkeypatch: pytest.MonkeyPatch, client: FlaskClient
) -> None:
    monkeypatch.setenv("LAKE_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
    settings.cache_clear()
    refused = client.post(PATH, json={"text": "hello"})
    assert refused.status_code == 503 and refused.json is not None
    changed = client.post(PATH, json={"text": "bye", "request_id": refused.json["id"]})
    assert changed.status_code == 409


def test_requests_that_cannot_be_stored_end_neither_the_server_nor_a_request(lake: Path, client: FlaskClient) -> None:
    lake.mkdir(exist_ok=True)
    (lake / "asking").write_text("a file in the place of the folder")
    with asking.opened(client.application):
        for refused in (client.post(PATH, json={"text": "hello"}), client.get(f"{PATH}/{new_id()}")):
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
            assert refused.json is not None
            assert "asking/echo/texts.sqlite cannot be opened: Not a directory." in refused.json["error"]


@pytest.mark.parametrize(
    "body", [{"data": "text=hello"}, {"json": ["text"]}, {"data": "{", "content_type": "application/json"}]
)
def test_what_is_no_object_in_json(client: FlaskClient, body: dict[str, Any]) -> None:
    assert client.post(PATH, **body).status_code == 400


def test_ids_that_are_none(lake: Path, client: FlaskClient) -> None:
    assert client.get(f"{PATH}/{new_id()}").status_code == 404
    assert client.get(f"{PATH}/{new_id().upper()}").status_code == 400
    assert client.post(PATH, json={"text": "hello", "request_id": 7}).status_code == 400
