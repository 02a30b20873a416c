"""The states that processes and queries can be in, as they stand in files under var/run, in --json and on pages."""

from enum import StrEnum


class ProcessState(StrEnum):
    """A process of `lake up`."""

    NOT_STARTED = "not started"
    STARTING = "starting"
    RUNNING = "running"
    BACKING_OFF = "backing off"  # ended; it will be restarted after a wait
    FINISHED = "finished"
    FAILED = "failed"  # will not be restarted
    STOPPED = "stopped"


class QueryState(StrEnum):
    """A streaming query: its own process writes the first five; readers derive the others from its files."""

    RUNNING = "running"
    BACKING_OFF = "backing off"  # stopped; it will be restarted after a wait
    FINISHED = "finished"
    FAILED = "failed"  # will not be restarted
    REFUSED = "refused"  # its start would lose or double data; will not be restarted
    NOT_STARTED = "not started"
    CATCHING_UP = "catching up"
    RESTARTING = "restarting"
    SILENT = "silent"
    STOPPED = "stopped"
