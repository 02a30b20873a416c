"""How a job starts and ends: typed options, one-sentence errors, exit codes, log lines."""

import atexit
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, TextIO

import typer

from lakehouse import setting_names
from lakehouse.errors import LakeError, first_line

# Pattern in a library's message -> what to tell the user. The first match counts.
_KNOWN = (
    (r"No space left on device|ENOSPC", "The disk is full.", "Free some space."),
    (
        r"S(asl|sl)AuthenticationException|SslHandshakeException",
        "The Kafka broker refused the login, or its certificate is not the expected one.",
        "Check LAKE_KAFKA_USER, LAKE_KAFKA_PASSWORD_FILE and LAKE_KAFKA_CA_FILE.",
    ),
    (
        r"TimeoutException.*(node assignment|describeTopics|listOffsets)|Broker transport failure|_ALL_BROKERS_DOWN",
        "The Kafka broker does not answer.",
        "Check that it runs (`lake status`) and that the address is right (--bootstrap-server).",
    ),
    (
        r"Java gateway process exited|JAVA_GATEWAY_EXITED|java: not found",
        "Spark's Java process did not start or has ended.",
        "Check `java -version` (17 or 21 is needed) and the free memory.",
    ),
)


def run(main: Callable[..., Any]) -> NoReturn:
    """Run `main` with options from the command line; errors become one sentence on stderr and an exit code."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(main)
    run_app(app)


def run_app(app: typer.Typer, logs: bool = True) -> NoReturn:
    """Run a typer application the same way; `--debug` anywhere (or LAKE_DEBUG=1) shows the stack trace of an error.

    `logs` is False for an application that writes no log lines: setting them up takes 0.2 s.
    """
    ending: list[int] = []
    atexit.register(_leave, ending)  # registered first, so it runs last
    ending.append(_exit_code(app, logs))
    sys.exit(ending[0])


def _exit_code(app: typer.Typer, logs: bool) -> int:
    """Run the application, print its error if there is one, and return the exit code."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments or os.environ.get("LAKE_DEBUG") == "1"
    if logs:
        configure_logging(debug)
    try:
        setting_names.check_names(os.environ)
        app([argument for argument in arguments if argument != "--debug"], standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if debug:
            raise
        sys.stdout.flush()
        code, sentence = explain(error)
        sys.stderr.write(f"Error: {sentence}\n")
        return code
    return 0


def _leave(ending: list[int]) -> None:
    """End the process before its C++ libraries clean up after themselves.

    They end Arrow's threads in no fixed order: on a busy machine one run in twenty died after its work, with
    "terminate called without an active exception" (SIGABRT).
    """
    with suppress(OSError, ValueError):  # the reader has gone, or the file is closed
        sys.stdout.flush()
        sys.stderr.flush()
    if ending:  # empty after an error whose stack trace Python shows
        os._exit(ending[0])


def explain(error: BaseException) -> tuple[int, str]:
    """Exit code and sentence for an error: those of a LakeError or of a known cause, else 1 and its first line."""
    if isinstance(error, LakeError):
        return error.exit_code, str(error)
    text = str(error)
    for pattern, what, fix in _KNOWN:
        if re.search(pattern, text, re.DOTALL):
            return 69, f"{what} {fix}"
    first = first_line(text, "no message")[:400]
    return 1, f"{type(error).__name__}: {first} (run again with --debug for the stack trace)"


class _DroppingFile:
    """A file for log lines that drops what the disk refuses: a full disk must not end the process that logs."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


def configure_logging(debug: bool = False) -> None:
    """Log lines to stderr: coloured on a terminal, JSON with LAKE_LOG_FORMAT=json, plain key=value otherwise."""
    import structlog

    as_json = os.environ.get("LAKE_LOG_FORMAT") == "json"
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ, pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(10 if debug else 20),
        logger_factory=structlog.PrintLoggerFactory(_DroppingFile(sys.stderr)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
