"""A callback that is slow, asked by many tabs at once, keeps nobody else from an answer."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import flask
import pytest
import waitress

from dashboard.app import _listen
from dashboard.server import request_threads, tick_cache

SLOW, QUICK = "..slow.children...slow.data..", "price.data"


@contextmanager
def served(dispatcher: Any) -> Iterator[tuple[int, threading.Event]]:
    """A server whose callback SLOW, whose GETs of /api/houses and whose POSTs to /api/echo wait for the event."""
    go, server = threading.Event(), flask.Flask("test")

    @server.post(tick_cache.ENDPOINT)
    def callback() -> dict[str, Any]:
        asked: dict[str, Any] = flask.request.get_json()
        if asked["output"] == SLOW:
            go.wait(60)
        return asked

    @server.get("/beat")
    def beat() -> dict[str, Any]:
        return {}

    @server.get("/api/houses/<house>")
    def price(house: str) -> dict[str, Any]:
        go.wait(60)
        return {"house": house}

    @server.post("/api/echo/requests")
    def post() -> dict[str, Any]:
        go.wait(60)
        return {}

    @server.get("/api/echo/requests/<number>")
    def poll(number: str) -> dict[str, Any]:
        return {"number": number}

    listener = _listen("127.0.0.1", 0)
    running = waitress.create_server(server, sockets=[listener], _dispatcher=dispatcher)

    def run() -> None:
        with suppress(OSError):  # it is closed under it
            running.run()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield listener.getsockname()[1], go
    finally:
        go.set()
        dispatcher.shutdown()
        running.close()


def ask(port: int, method: str, path: str, body: Any = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return json.loads(response.read()), response.status


@pytest.fixture
def server() -> Iterator[tuple[int, threading.Event]]:
    with served(request_threads.Lanes()) as running:
        yield running


def tabs(port: int, *asked: tuple[Any, ...]) -> tuple[list[threading.Thread], list[Any]]:
    """Many tabs ask at once; the threads, and what they get."""
    found: list[Any] = []
    threads = [threading.Thread(target=lambda one=one: found.append(ask(port, *one))) for one in asked]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # all have asked
    return threads, found


def callback(output: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", tick_cache.ENDPOINT, {"output": output, **more}


def test_a_slow_callback_holds_up_nobody_but_itself(server: tuple[int, threading.Event]) -> None:
    port, go = server
    slow = [callback(SLOW, tab=n, more="x" * 10_000) for n in range(20)]
    threads, answers = tabs(port, *slow, *[("GET", f"/api/houses/{n}") for n in range(5)])
    assert not answers
    for _ in range(20):
        assert ask(port, "GET", "/beat")[1] == 200
        assert ask(port, *callback(QUICK))[0] == {"output": QUICK}
    assert not answers
    go.set()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 25
    assert sorted(answer["tab"] for answer, _ in answers if "tab" in answer) == list(range(20))


def test_whatever_hangs_the_beat_is_answered(server: tuple[int, threading.Event]) -> None:
    port, go = server
    outputs = [f"{n}.data" for n in range(9)]
    threads, answers = tabs(port, *[("GET", f"/api/houses/{n}") for n in range(3)], *[callback(SLOW)] * 30)
    for output in outputs:
        assert ask(port, *callback(output))[1] == 200
    assert ask(port, "GET", "/beat") == ({}, 200)
    go.set()
    for thread in threads:
        thread.join(30)
    assert {status for _, status in answers} == {200}


def refused(answer: Any) -> bool:
    values, status = answer
    return status == 503 and values["error"].endswith("this one was not looked at. Send it again in 2 s.")


def test_posts_that_are_not_done_hold_up_no_poll_and_one_too_many_is_refused(
    server: tuple[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, go = server
    monkeypatch.setattr(request_threads, "WAITING", 4)
    post = ("POST", "/api/echo/requests", {})
    threads, answers = tabs(port, *[post] * (request_threads.MOST + 4))
    assert not answers
    for number in range(5):
        assert ask(port, "GET", f"/api/echo/requests/{number}") == ({"number": str(number)}, 200)
        assert refused(ask(port, *post))
    go.set()
    for thread in threads:
        thread.join(30)
    assert answers == [({}, 200)] * 7
    assert ask(port, *post) == ({}, 200)


def test_posts_that_have_waited_too_long_are_refused(
    server: tuple[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, go = server
    monkeypatch.setattr(request_threads, "PATIENCE", 0.0)
    threads, answers = tabs(port, *[("POST", "/api/echo/requests", {})] * 8)
    assert not answers
    go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(status for _, status in answers) == [200] * request_threads.MOST + [503] * 5
    assert all(refused(answer) for answer in answers if answer[1] != 200)


def test_a_refusal_says_when_to_come_again(
    server: tuple[int, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, _go = server
    monkeypatch.setattr(request_threads, "MOST", 0)
    monkeypatch.setattr(request_threads, "WAITING", 0)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/api/echo/requests", "{}")
    response = connection.getresponse()
    assert (response.status, response.headers["Retry-After"], refused((json.loads(response.read()), 503))) == (
        503,
        "2",
        True,
    )
