"""Jars come through the proxy that the environment names."""

import base64
import os
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakehouse.errors import UnavailableError, UsageError
from lakehouse.spark import jars, java, proxies

PLAIN = ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=3128"]
LOGIN = ["-Dhttp.proxyUser=me", "-Dhttp.proxyPassword=a b:c", "-Djdk.http.auth.tunneling.disabledSchemes="]


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, []),
        ({"no_proxy": "localhost"}, []),
        ({"https_proxy": "http://proxy:3128"}, PLAIN),
        ({"HTTPS_PROXY": "proxy:3128/"}, PLAIN),
        ({"https_proxy": "http://proxy:3128", "HTTPS_PROXY": "http://other:1"}, PLAIN),
        ({"http_proxy": "http://proxy"}, ["-Dhttp.proxyHost=proxy", "-Dhttp.proxyPort=80"]),
        ({"https_proxy": "http://me:a%20b%3Ac@proxy:3128"}, [*PLAIN, *LOGIN]),
        ({"all_proxy": "socks5://proxy"}, ["-DsocksProxyHost=proxy", "-DsocksProxyPort=1080"]),
        (
            {"https_proxy": "http://proxy:3128", "no_proxy": "localhost, .corp *.lan"},
            [*PLAIN, "-Dhttp.nonProxyHosts=localhost|*.localhost|corp|*.corp|lan|*.lan"],
        ),
        ({"https_proxy": "http://proxy:3128", "NO_PROXY": "*"}, [*PLAIN, "-Dhttp.nonProxyHosts=*"]),
    ],
)
def test_java_is_given_the_proxies_of_the_environment(given: Mapping[str, str], options: list[str]) -> None:
    assert proxies.java_options(given) == options


@pytest.mark.parametrize("value", ["http://", "http://proxy:port", "http://me:secret@:3128", "proxy:99999"])
def test_a_proxy_that_cannot_be_read_is_named_without_its_password(value: str) -> None:
    with pytest.raises(UsageError, match="https_proxy does not name a proxy") as refused:
        proxies.java_options({"https_proxy": value})
    assert "secret" not in str(refused.value)


@contextmanager
def proxy() -> Iterator[tuple[int, list[str]]]:
    """A proxy that wants a login and then lets nobody through: its port and what it was asked."""
    asked: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = [line.decode().strip() for line in iter(self.rfile.readline, b"\r\n") if line]
            login = next((line for line in lines if line.lower().startswith("proxy-authorization")), "")
            asked.append(f"{lines[0]} {login}")
            refused = "403 Forbidden" if login else '407 Login\r\nProxy-Authenticate: Basic realm="corp"'
            self.wfile.write(f"HTTP/1.1 {refused}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


@pytest.mark.spark
def test_the_jars_are_asked_for_through_the_proxy_with_its_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with proxy() as (port, asked):
        monkeypatch.setenv("https_proxy", f"http://me:word@127.0.0.1:{port}")
        with pytest.raises(UnavailableError, match="could not be downloaded"):
            jars._retrieve(java.find(), jars.locked()[:1], tmp_path / "Lagoš (1)")
    login = base64.b64encode(b"me:word").decode()
    assert any(line.startswith("CONNECT repo1.maven.org:443") and login in line for line in asked), asked
