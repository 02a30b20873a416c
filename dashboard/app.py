"""The dashboard's process: `python -m dashboard.app` serves the pages found in dashboard/pages on one port."""

import importlib
import pkgutil
import signal
import socket
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import dash
import flask
import typer
import waitress
from dash import html

import dashboard.pages
from dashboard import frame, snapshot
from dashboard.snapshot import Live
from lakehouse import entry
from lakehouse.errors import UnavailableError
from lakehouse.settings import settings

# Nothing may come from, or go to, another machine; Dash's own start-up script is inline, the map's worker a blob.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'"
)
# The stored theme is put on the page before anything is painted, so that a dark page does not flash white.
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}
<script>
(function () {
  var choice = localStorage.getItem('mantine-color-scheme-value') || 'auto';
  var dark = choice === 'dark' || (choice === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-mantine-color-scheme', dark ? 'dark' : 'light');
  document.documentElement.setAttribute('data-ag-theme-mode', dark ? 'dark' : 'light');
})();
</script></head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""

_register_page: Any = dash.register_page  # untyped in Dash


def pages() -> list[ModuleType]:
    """The page modules there are, in the order of the navigation."""
    names = [module.name for module in pkgutil.iter_modules(dashboard.pages.__path__)]
    found = [importlib.import_module(f"dashboard.pages.{name}") for name in names]
    return sorted(found, key=lambda page: (page.ORDER, page.NAME))


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
    for page in pages():
        title = f"{page.NAME} · Lakehouse"
        _register_page(page.__name__, path=page.PATH, name=page.NAME, title=title, layout=page.layout)
    _register_page("not_found_404", path="/404", title="Not found · Lakehouse", layout=_not_found)
    app.layout = frame.shell(pages())
    app.server.config["MAX_CONTENT_LENGTH"] = 1024 * 1024
    _add_routes(app.server)
    for page in pages():
        if hasattr(page, "add_routes"):
            page.add_routes(app.server)
    return app


def _not_found(**_query: str) -> html.Div:
    return html.Div([html.H1("There is no such page"), html.P([html.A("Go to the overview", href="/"), "."])])


def _add_routes(server: flask.Flask) -> None:
    @server.get("/health")
    def health() -> Any:
        return {"status": "ok"}

    @server.get("/beat")
    def beat() -> Any:
        """What the page asks every tick: is there a newer snapshot, and how old is what it shows?"""
        now = time.time()
        current = snapshot.current()
        if current is None:
            return {"now": now, "version": None}
        fresh_at = current.fresh_at()
        return {
            "now": now,
            "version": current.version,
            "taken_at": current.taken_at.timestamp(),
            "fresh_at": fresh_at if fresh_at is None or isinstance(fresh_at, str) else fresh_at.isoformat(),
        }

    @server.after_request
    def harden(response: flask.Response) -> flask.Response:
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        if flask.request.path == "/beat":
            response.headers["Cache-Control"] = "no-store"
        return response


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise UnavailableError(
            f"The dashboard cannot listen on {host}:{port}: {error.strerror}.",
            "Give another port with --port or LAKE_DASHBOARD_PORT; --port 0 takes a free one.",
        ) from None
    return listener


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = settings().dashboard_host,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = settings().dashboard_port,
) -> None:
    """Serve the dashboard until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = _listen(host, port)
    live = Live([page.SOURCE for page in pages() if hasattr(page, "SOURCE")])
    snapshot.use(live)
    app = create_app()
    live.start()
    typer.echo(f"Dashboard: http://{host}:{listener.getsockname()[1]}")
    sys.stdout.flush()
    waitress.serve(app.server, sockets=[listener], threads=8, ident=None, _quiet=True)


if __name__ == "__main__":
    entry.run(main)
