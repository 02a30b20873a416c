"""The app: pages by discovery, health, and nothing in it that needs a JVM or another machine."""

import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import dash
import pytest
from flask.testing import FlaskClient

from dashboard import app
from dashboard.live import snapshot
from dashboard.live.snapshot import Live
from dashboard.pages import discovery
from dashboard.server.routes import Route
from lakehouse.errors import LakeError


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.setattr(snapshot, "_live", Live(()))
    return app.create_app().server.test_client()


@pytest.mark.parametrize("page", discovery.pages(), ids=lambda page: page.__name__)
def test_every_page_is_served(page: ModuleType, client: FlaskClient) -> None:
    response = client.get(page.PATH.replace("<", "").replace(">", ""), follow_redirects=True)
    assert response.status_code == 200
    assert b"_dash-renderer" in response.data


@pytest.mark.parametrize("page", discovery.pages(), ids=lambda page: page.__name__)
def test_a_page_serves_its_routes_whether_it_is_listed_or_not(
    page: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detail page's API must not be missing because the page is not in the navigation."""
    monkeypatch.setattr(snapshot, "_live", Live(()))
    add = lambda server: server.add_url_rule("/api/of-it", view_func=lambda: {"from": "it"})  # noqa: E731
    monkeypatch.setattr(page, "add_routes", add, raising=False)
    assert app.create_app().server.test_client().get("/api/of-it").json == {"from": "it"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/price", "/houses/price"),
        ("/price?id=1&grade=9&theme=dark", "/houses/price?id=1&grade=9&theme=dark"),
        ("/map?area=-122.4,47.6,-122.3,47.7", "/houses/map?area=-122.4,47.6,-122.3,47.7"),
        ("/house/map?range=6h", "/houses/house/map?range=6h"),
        ("/house/a%3Cb%3E%26", "/houses/house/a%3Cb%3E%26"),
        ("/models", f"/models?domain={discovery.models()[0].domain}"),
        ("/models?range=6h", f"/models?domain={discovery.models()[0].domain}&range=6h"),
    ],
)
def test_an_old_address_leads_to_the_new_one_with_its_query(client: FlaskClient, old: str, new: str) -> None:
    response = client.get(old)
    assert (response.status_code, response.headers["Location"]) == (302, new)
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert client.get(new).status_code == 200


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A page of a section, which a test gives addresses; Dash's registry is the process's and stays as it was."""
    monkeypatch.setattr(snapshot, "_live", Live(()))
    before = dict(dash.page_registry)
    yield next(page for page in discovery.listed_pages() if discovery.section_of(page))
    dash.page_registry.clear()
    dash.page_registry.update(before)


def test_a_page_has_addresses_outside_of_its_sections_name(routed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Route(lambda kind: {"kind": kind}, ("POST",))
    monkeypatch.setattr(routed, "ROUTES", {"/known/to/others/<kind>": answer}, raising=False)
    monkeypatch.setattr(routed, "ALSO_AT", ("/as/it/was",), raising=False)
    client = app.create_app().server.test_client()
    assert client.post("/known/to/others/delays").json == {"kind": "delays"}
    assert "/as/it/was" in {page["path"] for page in dash.page_registry.values()}
    assert client.get("/as/it/was").status_code == 200


@pytest.mark.parametrize("name", ["ROUTES", "ALSO_AT", "OLD_PATHS"])
@pytest.mark.parametrize(
    ("taken", "owner"),
    [("/beat", "the dashboard"), ("/_dash-layout", "the dashboard"), ("/health-ui", "the page health")],
)
def test_an_address_that_is_taken_is_refused_at_the_start(
    routed: ModuleType, name: str, taken: str, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {taken: Route(dict)} if name == "ROUTES" else (taken,)
    monkeypatch.setattr(routed, name, wanted, raising=False)
    with pytest.raises(LakeError, match="are the same address") as refused:
        app.create_app()
    assert owner in str(refused.value)
    assert f"{taken} of the pages of {discovery.section_of(routed)}" in str(refused.value)


def test_a_route_that_a_page_adds_itself_is_refused_too(routed: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    add = lambda server: server.add_url_rule("/models", "another", view_func=dict)  # noqa: E731
    monkeypatch.setattr(routed, "add_routes", add, raising=False)
    with pytest.raises(LakeError, match=r"/models of the pages of \w+ and /models of the page models"):
        app.create_app()


def test_models_of_a_domain_are_where_they_are(client: FlaskClient) -> None:
    assert [client.get(f"/models?domain={domain}").status_code for domain in ("houses", "", "nowhere")] == [200] * 3


def test_health_answers(client: FlaskClient) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/houses",
        "/houses/price?id=1&grade=9",
        "/models?domain=houses",
        "/houses/map",
        "/_dash-layout",
        "/_dash-dependencies",
    ],
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


def test_a_list_has_a_version_and_a_domain_without_one_has_none(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "_live", Live(discovery.sources()))
    listed = {source.domain.name for source in discovery.sources() if source.events}
    assert listed
    for source in discovery.sources():
        answer = client.get(f"/beat/{source.domain.name}")
        assert answer.status_code == (200 if source.domain.name in listed else 404)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not answer.is_json or answer.json["version"].endswith("-history")
    assert client.get("/beat/nothing").status_code == 404
