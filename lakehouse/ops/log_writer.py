"""Writes the output of a process to its log. A large log is renamed to <log>.1, and a new one is started.

`lake up` starts one beside each process, between its output and the file: a log that is cut while a process writes to
it loses lines, and one that is only cut at a start grows as long as the process runs. It imports nothing of ours, so
that it takes 5 MB, and ends when no process can write to it any more.

    python -I -S log_writer.py LOG [MOST_BYTES]    reads its standard input
"""

import os
import signal
import sys

MOST = 20_000_000
_CHUNK = 65536


class Log:
    """The log file. What does not fit on a full disk is dropped, since the process must not wait for the log."""

    def __init__(self, path: str, most: int) -> None:
        self._path, self._most = path, most
        self._open()

    def _open(self) -> None:
        try:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            self._size = os.fstat(self._file).st_size
        except OSError:
            self._file, self._size = -1, 0

    def write(self, chunk: bytes) -> None:
        """Append. When the log is full, a new one is started after the end of a line."""
        if self._size + len(chunk) > self._most:
            end = chunk.find(b"\n") + 1
            self._append(chunk[:end])
            if end or self._size > 2 * self._most:  # a line without an end must not let it grow for ever
                self._renew()
                chunk = chunk[end:]
        self._append(chunk)

    def _append(self, data: bytes) -> None:
        if self._file < 0:
            self._open()
        try:
            while data:
                done = os.write(self._file, data)
                self._size, data = self._size + done, data[done:]
        except OSError:
            return

    def _renew(self) -> None:
        try:
            os.replace(self._path, f"{self._path}.1")  # noqa: PTH105  # pathlib would take as much memory again
        except OSError:
            return
        os.close(self._file)
        self._open()


def main(path: str, most: int = MOST) -> None:
    """Write until no process can write to the pipe any more."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # the process still writes when it ends
        signal.signal(number, signal.SIG_IGN)
    log = Log(path, most)
    while chunk := os.read(0, _CHUNK):
        log.write(chunk)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
