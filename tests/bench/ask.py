"""Ask and answer with the echo: what a request waits from its acknowledgement until its answer is on the topic."""

import os
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import TopicPartition

from lakehouse.asking.asker import Asker
from lakehouse.asking.requests import new_id
from lakehouse.errors import UnavailableError
from lakehouse.kafka import client, topics
from tests.echo.running import SLOW, Echo, echoing
from tests.echo.schema import ANSWERS, QUESTION
from tests.waiting import wait_for

RATE = 50
Times = dict[str, float]


class Arrivals:
    """When each answer was on the topic, as a consumer sees it that asks all the time."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.at: Times = {}
        self._consumer = client.assigned_consumer(bootstrap_servers, "bench", {"fetch.wait.max.ms": 10})
        found = topics.state(bootstrap_servers, ANSWERS.name)
        assert found is not None
        self._consumer.assign([TopicPartition(*where, end) for where, end in found.ends.items()])
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Arrivals":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            message = self._consumer.poll(0.2)
            if message is not None and not message.error():
                self.at.setdefault(message.key().decode(), time.perf_counter())


class Stopwatch(Asker):
    """An asker that notes when a request was sent and when it was acknowledged."""

    def __init__(self, brokers: Any) -> None:
        super().__init__(QUESTION, brokers)
        self.refused = 0
        self.sent: Times = {}
        self.acknowledged: Times = {}
        self._send, self._sender.send = self._sender.send, self._note  # type: ignore[method-assign]

    def _note(self, key: str, value: bytes) -> None:
        self.sent.setdefault(key, time.perf_counter())
        self._send(key, value)
        self.acknowledged[key] = time.perf_counter()


def waits(seconds: float, interval: str) -> dict[str, list[float]]:
    """Seconds of each request, after a warm-up, and until another version answers; how many attempts were refused."""
    place = tempfile.TemporaryDirectory(prefix="lake-bench-", ignore_cleanup_errors=True)
    with place as folder, echoing(Path(folder), interval) as echo:
        echo.start()
        wait_for(echo.at_work, SLOW)
        asker = Stopwatch(lambda: echo.bootstrap_servers)
        try:
            _ask(asker, 10, echo)
            warm = set(asker.acknowledged)
            arrivals = _ask(asker, seconds, echo)
            asked = [each for each in asker.acknowledged if each not in warm]
            switched = _switch(asker, echo)
        finally:
            asker.close()
        assert echo.stop() == 0
    lost = [each for each in asked if each not in arrivals]
    assert not lost, f"{len(lost)} requests have no answer"
    return {
        "acknowledged": [asker.acknowledged[each] - asker.sent[each] for each in asked],
        "refused": [float(asker.refused)],
        "switched": [switched],
        "answered": [max(0.0, arrivals[each] - asker.acknowledged[each]) for each in asked],
    }


def _switch(asker: Stopwatch, echo: Echo) -> float:
    """Seconds from another version's going live to an answer of it, while requests come in."""
    began = time.perf_counter()
    echo.publish("v2")
    while True:
        request_id = _ask_until_taken(asker, "which version?")
        wait_for(lambda: asker.find(request_id).state == "answered", SLOW)  # type: ignore[union-attr]  # noqa: B023
        if str(asker.find(request_id).answer, "utf-8").startswith("v2"):  # type: ignore[union-attr, arg-type]
            return time.perf_counter() - began


def _ask_until_taken(asker: Stopwatch, text: str) -> str:
    """The request's id; asked again, as clients do, while the broker does not take it in time."""
    request_id = new_id()
    while True:
        try:
            return asker.ask({"text": text}, request_id)
        except UnavailableError:
            asker.refused += 1


def _ask(asker: Stopwatch, seconds: float, echo: Echo) -> Mapping[str, float]:
    """Ask for so long, at the rate, from several threads, as a web server does; when the answers came."""
    began = time.perf_counter()
    with Arrivals(echo.bootstrap_servers) as arrivals, ThreadPoolExecutor(8) as pool:
        asked = []
        for number in range(int(seconds * RATE)):
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            asked.append(pool.submit(_ask_until_taken, asker, f"text {number}"))
        ids = [each.result() for each in asked]
        with suppress(AssertionError):  # whoever asks counts those that have not come
            wait_for(lambda: all(each in arrivals.at for each in ids))
    return arrivals.at


def load() -> float:
    """How many processes want a core, in the last minute: on a machine with other work the figures are theirs."""
    return os.getloadavg()[0]
