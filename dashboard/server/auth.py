"""Lets in who may ask: on loopback whoever asks for this very machine, elsewhere who shows the token.

A page of another site, in the browser of somebody who may ask, may read only what its browser lets it read anyway.
"""

import hashlib
import hmac
from typing import Any
from urllib.parse import urlencode, urlsplit

import flask
from markupsafe import escape
from werkzeug.wrappers import Response

from lakehouse.core import net

OPEN = ("/health",)  # says nothing but that it runs
READING = ("GET", "HEAD", "OPTIONS")
_ASK = "This dashboard asks for its token: open the address with ?token=, or send Authorization: Bearer."
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Lakehouse</title></head><body><h1>Not without a token</h1><p>{}</p></body></html>"""
_YEAR = 365 * 86_400


def protect(server: flask.Flask, host: str, token: str | None) -> None:
    """Ask for the token, if there is one; else refuse requests for another name than this machine's (DNS rebinding).

    Whatever does more than read is refused to pages of other sites.
    """
    if token is None:
        server.before_request(lambda: _refuse_other_names(host))
    else:
        server.before_request(lambda: _ask(token))
    server.before_request(_refuse_other_sites)


def _refuse_other_sites() -> Any:
    if flask.request.method in READING or not _is_of_another_site():
        return None
    origin = flask.request.headers.get("Origin", "another site")
    return _answer(403, f"Only this dashboard's own pages may ask for that, not a page of {origin[:80]!r}.")


def _is_of_another_site() -> bool:
    """What the browser says itself; an older one, or one that is not asked by HTTPS or on loopback, names the page."""
    if site := flask.request.headers.get("Sec-Fetch-Site"):
        return site not in ("same-origin", "none")  # a proxy may give another Host than the page's
    origin = flask.request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != flask.request.host


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
