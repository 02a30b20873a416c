"""A client of the echo's web process: it asks at a rate, each time with one id until it is promised an answer."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from lakehouse.asking.requests import new_id
from tests.echo.web import PATH


@dataclass
class Client:
    """Asks in a thread of its own between `start` and `stop`; `promised` are the texts by id."""

    port: int
    rate: float = 20.0
    promised: dict[str, str] = field(default_factory=dict)
    refusals: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> "Client":
        """Begin to ask."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End once the request under way is promised."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ending.is_set():
            self.ask(f"text {len(self.promised)}")
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self._ending.wait(max(0.0, due - time.monotonic()))

    def ask(self, text: str) -> str:
        """The id of a request that was promised an answer, however often it has to be asked."""
        request_id = new_id()
        while (status := self.post({"text": text, "request_id": request_id})[0]) != 202:
            assert status in (0, 503), status
            self.refusals += 1
            time.sleep(0.2)
        self.promised[request_id] = text
        return request_id

    def post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer; status 0 while nobody listens."""
        data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        return self._open(urllib.request.Request(self._address(), data, headers))

    def state(self, request_id: str) -> dict[str, Any]:
        """What has become of a request."""
        return self._open(urllib.request.Request(f"{self._address()}/{request_id}"))[1]

    def _address(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def _open(self, request: urllib.request.Request) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}
