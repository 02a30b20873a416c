"""The echo's web process: `python -m tests.echo.web PORT`."""

import signal
import sys

import flask
import waitress

from dashboard.server import asking
from tests.echo.schema import QUESTION

PATH = "/api/echo/texts"


def main(port: int) -> None:
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = flask.Flask("echo")
    asking.add_routes(server, PATH, QUESTION)
    with asking.opened(server):
        waitress.serve(server, host="127.0.0.1", port=port, threads=8, ident=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
