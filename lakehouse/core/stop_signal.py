"""Whether SIGTERM or Ctrl-C has asked this process to end."""

import signal


class StopSignal:
    """Requested by SIGTERM and Ctrl-C after `listen`; listen first, so that a signal during the start counts."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, *_: object) -> None:
        """Ask for the end. Sets a plain flag: taking a lock in a signal handler can block forever."""
        self.requested = True

    def listen(self) -> "StopSignal":
        """Let SIGTERM and Ctrl-C request the stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request)
        return self
