"""Who may ask the dashboard: on loopback this machine by its own name, on another address who shows the token."""

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import psutil
import pytest
from flask.testing import FlaskClient

from dashboard.server import auth
from lakehouse.core import net
from lakehouse.errors import UsageError
from lakehouse.ops import dashboard_token
from lakehouse.settings import ROOT
from tests.own_lake import own_lake


def outward() -> str:
    """An address of this machine that is not loopback; all of its addresses where it has no such one."""
    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET and not net.is_loopback(address.address)
    ]
    return found[0] if found else "0.0.0.0"


@contextmanager
def serving(host: str) -> Iterator[tuple[int, str]]:
    """A dashboard that listens there: its port and what it has printed."""
    command = [sys.executable, "-m", "dashboard.app", "--host", host, "--port", "0"]
    app = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    assert app.stdout is not None
    output = ""
    try:
        while not (line := re.search(r"^Dashboard: http://\S+:(\d+)$", output, re.MULTILINE)):
            printed = app.stdout.readline()
            assert printed, output
            output += printed
        yield int(line[1]), output
    finally:
        app.send_signal(signal.SIGTERM)
        app.wait(20)


def ask(
    host: str, port: int, path: str, method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, str]:
    """Status, headers and body; header names with _ for -."""
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, body


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A dashboard on another address than loopback: a function that asks it, and its token."""
    with own_lake(tmp_path_factory.mktemp("var")):
        host = outward()
        with serving(host) as (port, output):
            token = dashboard_token.token_file().read_text()
            assert token not in output, "what it prints goes into a log"
            yield lambda path, method="GET", **headers: ask(host, port, path, method, **headers), token


def test_the_token_is_long_and_its_owners_alone(outside: Any) -> None:
    assert len(outside[1]) >= 32
    assert stat.S_IMODE(dashboard_token.token_file().stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "path", ["/", "/beat", "/houses", "/houses/price", "/_dash-layout", "/_dash-dependencies", "/assets/core/live.js"]
)
@pytest.mark.parametrize("token", ["", "x", "€", "%00"])
def test_nothing_is_shown_without_the_token(outside: Any, path: str, token: str) -> None:
    status, headers, body = outside[0](f"{path}?token={token.replace('€', '%E2%82%AC')}", Accept="text/html")
    assert status == 401
    assert "asks for its token" in body
    assert "Set-Cookie" not in headers
    assert headers["WWW-Authenticate"] == "Bearer"


def test_nothing_is_done_without_the_token(outside: Any) -> None:
    assert outside[0]("/_dash-update-component", "POST")[0] == 401
    assert outside[0](f"/_dash-update-component?token={outside[1]}", "POST")[0] == 401


def test_the_api_answers_in_json_and_takes_a_bearer(outside: Any) -> None:
    asked, token = outside
    status, headers, body = asked("/api/houses/1/price")
    assert (status, headers["Content-Type"], body.count("asks for its token")) == (401, "application/json", 1)
    assert asked("/api/houses/1/price", Authorization=f"Bearer {token}x")[0] == 401
    assert asked("/api/houses/1/price", Authorization=f"Basic {token}")[0] == 401
    assert asked("/api/houses/1/price", Authorization=f"Bearer {token}")[0] == 503, "there is no model"


def test_the_address_with_the_token_gives_a_cookie_no_script_can_read(outside: Any) -> None:
    asked, token = outside
    status, headers, _ = asked(f"/houses?range=6h&token={token}", Accept="text/html")
    assert (status, headers["Location"]) == (302, "/houses?range=6h")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert asked("/houses", Cookie=cookie.split(";")[0])[0] == 200
    assert asked("/houses", Cookie=cookie.split(";")[0][:-1])[0] == 401
    assert asked("/", Cookie=f"lake={token}")[0] == 401


def test_the_way_to_the_address_stays_on_this_host(outside: Any) -> None:
    status, headers, _ = outside[0](f"//evil.example/x?token={outside[1]}")
    assert status == 302
    assert headers["Location"].startswith("/evil.example") or headers["Location"] == "/x"


def test_the_probe_needs_no_token(outside: Any) -> None:
    assert outside[0]("/health")[0] == 200


def test_on_loopback_only_this_machines_own_names_are_answered(lake: Path) -> None:
    """A page of another site whose name is turned to 127.0.0.1 cannot read the lake."""
    with serving("127.0.0.1") as (port, _):
        for host in ("127.0.0.1", f"localhost:{port}", "[::1]:80"):
            assert ask("127.0.0.1", port, "/beat", Host=host)[0] == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]", "x" * 300, "@"):
            status, _headers, body = ask("127.0.0.1", port, "/beat", Host=host)
            assert status in (400, 403), host
            assert "version" not in body
        assert not dashboard_token.token_file().exists()


@pytest.fixture(params=[None, "x" * 32])
def protected(request: pytest.FixtureRequest) -> FlaskClient:
    """A server on loopback, and one with a token, whose cookie this browser has."""
    server = flask.Flask("protected")
    server.add_url_rule("/order", "order", lambda: {"done": True}, methods=["GET", "POST", "DELETE"])
    auth.protect(server, "127.0.0.1" if request.param is None else "0.0.0.0", request.param)
    client = server.test_client()
    if request.param:
        assert client.get(f"/order?token={request.param}").status_code == 302
    return client


@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({}, True),  # no browser
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://elsewhere"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://localhost:81"}, False),
        ({"Origin": "https://behind.a.proxy", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://localhost:81", "Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_a_page_of_another_site_may_do_nothing(protected: FlaskClient, headers: dict[str, str], may: bool) -> None:
    for method in ("POST", "DELETE"):
        answer = protected.open("/order", method=method, headers=headers)
        assert answer.status_code == (200 if may else 403), method
        assert may or "own pages may ask for that" in answer.json["error"]  # type: ignore[index]
    assert protected.get("/order", headers=headers).status_code == 200


def test_a_huge_body_is_refused_before_it_is_taken(lake: Path) -> None:
    with serving("127.0.0.1") as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.putrequest("POST", "/_dash-update-component")
        connection.putheader("Content-Length", str(10 * 1024**3))
        connection.endheaders()
        assert connection.getresponse().status == 413
        connection.close()


@pytest.mark.parametrize("content", ["", "short", "x" * 20 + "\ny", "ü" * 20])
def test_a_file_without_a_token_is_an_error(lake: Path, content: str) -> None:
    dashboard_token.token_file().parent.mkdir(parents=True)
    dashboard_token.token_file().write_text(content)
    with pytest.raises(UsageError, match="has no token"):
        dashboard_token.token()


def test_a_token_is_made_once(lake: Path) -> None:
    first, is_new = dashboard_token.token()
    assert is_new
    assert dashboard_token.token() == (first, False)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]")),
        *((host, False) for host in ("0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org")),
    ],
)
def test_what_is_loopback(host: str, ours: bool) -> None:
    assert net.is_loopback(host) is ours
