"""Lets in who may ask: on loopback whoever asks for this very machine, elsewhere who shows the token."""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode

import flask
from markupsafe import escape
from werkzeug.wrappers import Response

from lakehouse.core import net

OPEN = ("/health",)  # says nothing but that it runs
_ASK = "This dashboard asks for its token: open the address with ?token=, or send Authorization: Bearer."
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Lakehouse</title></head><body><h1>Not without a token</h1><p>{}</p></body></html>"""
_YEAR = 365 * 86_400


def protect(server: flask.Flask, host: str, token: str | None) -> None:
    """Ask for the token, if there is one; else refuse requests for another name than this machine's (DNS rebinding)."""
    if token is None:
        server.before_request(lambda: _refuse_other_names(host))
    else:
        server.before_request(lambda: _ask(token))


def _refuse_other_names(host: str) -> Any:
    asked = flask.request.host.rsplit(":", 1)[0] if not flask.request.host.endswith("]") else flask.request.host
    if asked == host or net.is_loopback(asked) or flask.request.path in OPEN:
        return None
    what = f"This dashboard answers to names of this machine only, not to {asked[:80]!r}."
    return _answer(403, f"{what} Under LAKE_DASHBOARD_HOST=0.0.0.0 it answers to any, and asks for a token.")


def _ask(token: str) -> Any:
    if flask.request.path in OPEN:
        return None
    cookie = f"lake_{hashlib.sha256(token.encode()).hexdigest()[:8]}"  # two lakes of one host keep apart
    scheme, _, shown = flask.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(shown.strip(), token):
        return None
    if _same(flask.request.cookies.get(cookie, ""), token):
        return None
    if flask.request.method == "GET" and _same(flask.request.args.get("token", ""), token):
        return _without_token(cookie, token)
    return _answer(401, _ASK)


def _without_token(cookie: str, token: str) -> Response:
    """To the same address without the token, which from now on is in a cookie that no script can read."""
    others = [(name, value) for name, value in flask.request.args.items(multi=True) if name != "token"]
    path = "/" + flask.request.path.lstrip("/")  # never //another-host
    answer = flask.redirect(f"{path}?{urlencode(others)}" if others else path)
    answer.set_cookie(cookie, token, max_age=_YEAR, httponly=True, samesite="Lax")
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _answer(status: int, sentence: str) -> Response:
    wants_json = flask.request.path.startswith("/api/") or "text/html" not in flask.request.headers.get("Accept", "")
    body = flask.jsonify(error=sentence) if wants_json else flask.make_response(_PAGE.format(escape(sentence)))
    body.status_code = status
    body.headers["Cache-Control"] = "no-store"
    if status == 401:
        body.headers["WWW-Authenticate"] = "Bearer"
    return body
