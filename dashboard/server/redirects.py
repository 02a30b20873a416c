"""Leads an old address to a new one, with its query. A page lists its own in OLD_PATHS; app.py adds them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import flask


def add(server: flask.Flask, old: str, new: str) -> None:
    """Lead `old` to `new`; both name the same variables, as in /house/<house_id>."""

    def lead(**values: str) -> Any:
        return flask.redirect(_with_query(_filled(new, values)))

    server.add_url_rule(old, f"redirect {old}", lead, methods=["GET"])


def add_default(server: flask.Flask, path: str, name: str, value: str) -> None:
    """Lead `path` without the parameter `name` to the same address with it."""
    page = server.view_functions["/<path:path>"]  # Dash's own answer to any address

    def lead() -> Any:
        if name in flask.request.args:
            return page(path=path.lstrip("/"))
        return flask.redirect(_with_query(f"{path}?{name}={quote(value, safe='')}"))

    server.add_url_rule(path, f"default {path}", lead, methods=["GET"])


def _filled(path: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(f"<{name}>", quote(value, safe=""))
    return path


def _with_query(address: str) -> str:
    query = flask.request.query_string.decode("latin-1")
    return f"{address}{'&' if '?' in address else '?'}{query}" if query else address
