"""The app: pages by discovery, health, and nothing in it that needs a JVM or another machine."""

import subprocess
import sys

import pytest
from flask.testing import FlaskClient

from dashboard import app
from dashboard.live import snapshot
from dashboard.live.snapshot import Live


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(snapshot, "_live", Live(()))
    return app.create_app().server.test_client()


def test_pages_are_found_in_their_order() -> None:
    houses = [("Houses", "/houses"), ("Price", "/price"), ("Models", "/models"), ("Map", "/map")]
    assert [(page.NAME, page.PATH) for page in app.pages()] == [
        ("Overview", "/"),
        *houses,
        ("Production", "/production"),
        ("Health", "/health-ui"),
    ]


def test_health_answers(client: FlaskClient) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path", ["/", "/houses", "/price?id=1&grade=9", "/models", "/map", "/_dash-layout", "/_dash-dependencies"]
)
def test_every_page_is_served_and_locked_to_this_machine(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert b"https://" not in response.data


def test_the_beat_tells_the_version_of_the_snapshot(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/beat").json["version"] is None
    live = Live(())
    monkeypatch.setattr(snapshot, "_live", live)
    version = live.refresh().version
    answers = [client.get("/beat").json for _ in range(2)]
    assert [answer["version"] for answer in answers] == [version, version]


def test_a_large_body_is_refused(client: FlaskClient) -> None:
    body = b"x" * (2 * 1024 * 1024)
    assert client.post("/_dash-update-component", data=body, content_type="application/json").status_code == 413


def test_debug_is_off(client: FlaskClient) -> None:
    assert client.application.debug is False


def test_the_dashboard_imports_no_spark() -> None:
    code = "import dashboard.app as a, sys; a.create_app(); print('pyspark' in sys.modules, 'py4j' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
