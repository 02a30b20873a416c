"""The dashboard's process: `python -m dashboard.app` serves the pages found in dashboard/pages on one port."""

import gc
import logging
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import dash
import flask
import typer
import waitress
from dash import html
from dash.exceptions import DependencyException

from dashboard.live import snapshot, status_pill
from dashboard.live.snapshot import Live
from dashboard.pages import addresses, discovery
from dashboard.server import asking, auth, request_threads, tick_cache
from dashboard.ui import frame
from lakehouse import entry, environment
from lakehouse.core import net
from lakehouse.errors import UnavailableError
from lakehouse.ops import dashboard_token
from lakehouse.settings import settings

# Nothing may come from, or go to, another machine; Dash's own start-up script is inline, the map's worker a blob.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'"
)
# The theme of the address, or else the stored one, is put on the page before anything is painted: a dark page does not
# flash white.
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}
<script>
(function () {
  var asked = new URLSearchParams(location.search).get('theme');
  var known = ['auto', 'light', 'dark'].indexOf(asked) >= 0;
  var choice = (known ? asked : localStorage.getItem('mantine-color-scheme-value')) || 'auto';
  var dark = choice === 'dark' || (choice === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light');
  document.documentElement.setAttribute('data-ag-theme-mode', dark ? 'dark' : 'light');
})();
</script></head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""

MOST_BYTES = 1024 * 1024  # of a request's body
_register_page: Any = dash.register_page  # untyped in Dash


def create_app() -> dash.Dash:
    """The application with every page registered; it shows whatever `snapshot.use` has put in force."""
    app = dash.Dash(
        "dashboard",
        assets_folder=str(Path(__file__).parent / "assets"),
        use_pages=True,
        pages_folder="",
        title="Lakehouse",
        update_title=None,  # type: ignore[arg-type]  # None is what keeps the title still
        suppress_callback_exceptions=True,
        serve_locally=True,
        index_string=_INDEX,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.server.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    tick_cache.install(app.server)
    _add_routes(app.server)
    claims = addresses.claims(app.server)
    for section in discovery.sections():
        discovery.shown_tables(section)  # a page that names a table it has not is refused here, not at a tick
    for page in discovery.pages():
        _register(page)
    _register_page("not_found_404", path="/404", title="Not found · Lakehouse", layout=_not_found)
    app.layout = frame.shell(discovery.navigation())
    addresses.add_routes(app.server, claims)
    return app


def _register(page: ModuleType) -> None:
    """Make the page known to Dash, to which a path with a variable, as /<domain>/<thing>/<id>, is a template."""
    section = discovery.sections().get(discovery.section_of(page))
    title = " · ".join([page.NAME, *([section.title] if section else []), "Lakehouse"])
    for address in addresses.of_page(page):
        name = page.__name__ if address == page.PATH else f"{page.__name__} at {address}"
        path = {"path_template" if "<" in address else "path": address}
        _register_page(name, name=page.NAME, title=title, layout=frame.own_query(page.layout), **path)


def _not_found(**_query: str) -> html.Div:
    return html.Div([html.H1("There is no such page"), html.P([html.A("Go to the overview", href="/"), "."])])


def _add_routes(server: flask.Flask) -> None:
    server.register_error_handler(DependencyException, lambda _: ("", 404))  # a script that Dash has not, else a 500

    @server.get("/health")
    def health() -> Any:
        return {"status": "ok"}

    @server.get("/beat")
    def beat() -> Any:
        """What the page asks every tick: is there a newer snapshot, and what does the pill say?"""
        return status_pill.beat(snapshot.current(), datetime.now(UTC))

    @server.get("/beat/<domain>")
    def list_version(domain: str) -> Any:
        """What a live list asks every second: is there a newer one?"""
        events = snapshot.events(domain)
        return {"version": events.version()} if events else flask.abort(404)

    @server.after_request
    def harden(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        if flask.request.path.startswith("/beat"):
            response.headers["Cache-Control"] = "no-store"
        return response


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)  # from here on nobody who has the address is refused
    except OSError as error:
        raise UnavailableError(
            f"The dashboard cannot listen on {host}:{port}: {error.strerror}.",
            "Give another port with --port or LAKE_DASHBOARD_PORT; --port 0 takes a free one.",
        ) from None
    return listener


def main(
    host: Annotated[str | None, typer.Option(help="Address to listen on; dashboard_host when not given.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one; dashboard_port when not given.")
    ] = None,
) -> None:
    """Serve the dashboard until SIGTERM or Ctrl-C."""
    environment.clean()
    host = settings().dashboard_host if host is None else host
    port = settings().dashboard_port if port is None else port
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = _listen(host, port)
    live = Live(discovery.sources())
    snapshot.use(live)
    app = create_app()
    address = f"http://{host}:{listener.getsockname()[1]}"
    auth.protect(app.server, host, _token(host, address))
    _settle()
    live.start()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # that a question waits for a moment is no news
    typer.echo(f"Dashboard: {address}")
    sys.stdout.flush()
    limits: dict[str, Any] = {"ident": None, "max_request_body_size": MOST_BYTES}
    with asking.opened(app.server):
        waitress.serve(app.server, sockets=[listener], _dispatcher=request_threads.Lanes(), _quiet=True, **limits)


def _settle() -> None:
    """Keep the answers to ticks short in a process that makes much and soon drops it."""
    gc.collect()
    gc.freeze()  # a collection no longer walks over all that was imported
    gc.set_threshold(10_000)
    sys.setswitchinterval(0.001)  # a small answer waits that long, several times, for one that is drawn; else 5 ms


def _token(host: str, address: str) -> str | None:
    """The token, if one is asked for on that address; shown once, and never into a file."""
    if net.is_loopback(host):
        return None
    token, made = dashboard_token.token()
    if made and sys.stdout.isatty():
        typer.echo(f"Open once with the token: {address}/?token={token}")
    typer.echo(f"Whoever asks needs the token in {dashboard_token.token_file()}")
    return token


if __name__ == "__main__":
    entry.run(main)
