"""Ticks: worked out once for all tabs, and sent as what has changed; whatever the browser holds, it ends up right."""

import json
import random
import threading
from typing import Any

import flask
import pytest
from dash.exceptions import PreventUpdate
from flask.testing import FlaskClient

from dashboard.live import snapshot
from dashboard.live.snapshot import Live
from dashboard.server import tick_cache
from tests.dashboard.tab import applied

BODY = {"output": "x.data", "changedPropIds": ["live.data"], "inputs": [{"id": "live", "property": "data"}]}


def thing(chance: random.Random, depth: int = 3) -> Any:
    """Some JSON."""
    kind = chance.randrange(5) if depth else chance.randrange(3)
    if kind == 3:
        return [thing(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 4:
        return {chance.choice("abcd"): thing(chance, depth - 1) for _ in range(chance.randrange(4))}
    return (chance.randrange(3), chance.choice("xy"), None)[kind]


def test_a_difference_leads_from_anything_to_anything() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        old, new = thing(chance), thing(chance)
        assert applied(old, tick_cache.difference(old, new)) == new
        assert tick_cache.difference(new, json.loads(json.dumps(new))) == {}


def test_a_point_added_to_a_line_is_all_that_is_sent() -> None:
    old = {"data": [{"x": list(range(1000)), "name": "1990s"}, {"x": list(range(1000))}]}
    new = {"data": [{"x": [*range(999), 5, 6], "name": "1990s"}, {"x": list(range(1000))}]}
    change = tick_cache.difference(old, new)
    assert change == {"into": {"data": {"into": {"0": {"into": {"x": {"splice": [999, 0, [5, 6]]}}}}}}}


@pytest.fixture
def source() -> dict[str, Any]:
    """What Dash's way says next, and how often it was asked."""
    return {"answer": {"multi": True, "response": {"x": {"data": [*range(200)]}}}, "asked": 0}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, source: dict[str, Any]) -> FlaskClient:
    live = Live(())
    live.refresh()
    monkeypatch.setattr(snapshot, "_live", live)
    server = flask.Flask("test")

    def own() -> flask.Response:
        source["asked"] += 1
        if source["answer"] is None:
            raise PreventUpdate
        return flask.jsonify(source["answer"])

    server.add_url_rule(tick_cache.ENDPOINT, tick_cache.ENDPOINT, own, methods=["POST"])
    server.errorhandler(PreventUpdate)(lambda _error: ("", 204))
    tick_cache.install(server)
    return server.test_client()


def renewed() -> None:
    """Another snapshot."""
    live = snapshot._live
    live.snapshot = snapshot.Snapshot(f"v{random.random()}", live.refresh().taken_at, {})


def ask(client: FlaskClient, holds: str = "", **changed: Any) -> Any:
    return client.post(tick_cache.ENDPOINT, json=BODY | changed, headers={tick_cache.HOLDS: holds})


def test_a_snapshot_is_worked_out_once_for_all(client: FlaskClient, source: dict[str, Any]) -> None:
    answers = [ask(client).json for _ in range(3)]
    assert (answers, source["asked"]) == ([source["answer"]] * 3, 1)
    renewed()
    ask(client)
    assert source["asked"] == 2


def test_many_tabs_at_once_wait_for_one_answer(client: FlaskClient, source: dict[str, Any]) -> None:
    go, answers = threading.Barrier(8), []

    def tab() -> None:
        go.wait()
        answers.append(ask(client.application.test_client()).json)

    tabs = [threading.Thread(target=tab) for _ in range(8)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert (answers, source["asked"]) == ([source["answer"]] * 8, 1)


def test_a_known_answer_is_not_sent_again_and_the_next_as_a_difference(
    client: FlaskClient, source: dict[str, Any]
) -> None:
    first = ask(client)
    name, whole = first.headers[tick_cache.NAME], first.json
    renewed()
    assert ask(client, name).status_code == 204
    source["answer"] = {"multi": True, "response": {"x": {"data": [*range(201)]}}}
    renewed()
    second = ask(client, name)
    assert (second.json["since"], applied(whole, second.json["change"])) == (name, source["answer"])
    assert len(second.data) < len(first.data) / 2
    assert ask(client, "unknown").json == source["answer"]


def test_nothing_to_update_is_kept_too(client: FlaskClient, source: dict[str, Any]) -> None:
    source["answer"] = None
    assert [ask(client).status_code for _ in range(2)] == [204, 204]
    assert source["asked"] == 1


@pytest.mark.parametrize(
    "changed",
    [{"changedPropIds": ["scheme.data"]}, {"changedPropIds": ["live.data", "view.data"]}, {"inputs": []}],
)
def test_what_is_no_tick_is_asked_each_time(
    client: FlaskClient, source: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert [ask(client, **changed).json for _ in range(2)] == [source["answer"]] * 2
    assert source["asked"] == 2


def test_a_failure_is_not_kept(client: FlaskClient, source: dict[str, Any]) -> None:
    good, source["answer"] = source["answer"], object()
    assert ask(client).status_code == 500
    source["answer"] = good
    assert ask(client).json == good


def test_the_number_of_kept_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tick_cache, "KEPT_BYTES", 100)
    kept = tick_cache.Ticks()
    for number in range(50):
        kept._keep(tick_cache.Answer(b"x" * 10, str(number)))
    assert sum(map(len, kept._sent.values())) <= 100
