"""The dashboard as a process, for tests in a browser."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page

from lakehouse.settings import ROOT


class App:
    """The dashboard as its own process; it can be ended and started again on the same port."""

    def __init__(self, var: Path, **environment: str) -> None:
        self._environment = os.environ | {"LAKE_VAR": str(var)} | environment
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dashboard.app", "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


def wait_until(page: Page, condition: str, seconds: float = 30) -> None:
    """Poll a condition; Playwright's wait_for_function would evaluate a string, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not true within {seconds} s: {condition}"
        page.wait_for_timeout(100)


def is_local(url: str, app: App) -> bool:
    """Whether a request stays with the dashboard."""
    return url.startswith((app.url, "data:", "blob:"))
