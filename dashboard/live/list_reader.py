"""Reads a domain's list of newest events from its topic while a page shows it, whatever becomes of the broker."""

import logging
import threading
import time
import uuid
from collections.abc import Callable

import pandas as pd
from confluent_kafka import KafkaException

from dashboard.live.broker import TopicView
from dashboard.live.event_list import ROWS, EventList, NewestEvents, together
from lakehouse.errors import LakeError
from lakehouse.kafka.tail import TopicTail
from lakehouse.settings import settings

LOOK_SECONDS = 0.2
AGAIN_SECONDS = 1.0  # after an error
WANTED_SECONDS = 30.0  # so long after a page has asked for it the topic is read
NOT_READ = "The topic has not been read yet."


class ListReader:
    """Keeps a list while a page asks for it, in a thread of its own; what is wrong stands in `error`."""

    def __init__(self, events: EventList, topic: Callable[[], TopicView]) -> None:
        self._topic = topic
        self._name = events.topic.name
        self._newest = NewestEvents(events)
        self._boot = uuid.uuid4().hex[:8]  # after a restart, version 3 is another one
        self._asked_at = -WANTED_SECONDS
        self._ends = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"list-{self._name}", daemon=True)
        self.error = NOT_READ

    def start(self) -> None:
        """Read, whenever a page asks, until the process ends or `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ends.set()
        self._wanted.set()
        self._thread.join()

    def version(self) -> str:
        """Another one whenever the list is another, or is read from elsewhere. Whoever asks wants it to be read."""
        self._asked_at = time.monotonic()
        self._wanted.set()
        return f"{self._boot}-{self._newest.number}-{'history' if self.error else 'topic'}"

    def rows(self, history: pd.DataFrame) -> pd.DataFrame:
        """The newest events, those of the topic and those of the history's rows, each once, newest first."""
        self.version()
        return together(self._newest.frame(), history)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._wanted.wait()
            try:
                if self._is_wanted():
                    self._read()
            except LakeError as error:
                self.error = str(error)
            except KafkaException as error:
                self.error = f"The topic {self._name} cannot be read: {error.args[0].str().rstrip('.')}."
            except Exception:
                self.error = f"The topic {self._name} cannot be read; the dashboard's log says why."
                logging.getLogger(__name__).exception("The topic %s cannot be read.", self._name)
            self._ends.wait(AGAIN_SECONDS if self.error else 0)

    def _read(self) -> None:
        """Read while a page wants it, and while broker, partitions and topic are the same."""
        place = self._place()
        brokers, partitions, _id = place
        with TopicTail(brokers, self._name, partitions, ROWS) as tail:
            while not self._ends.is_set() and self._is_wanted() and self._place() == place:
                began = time.monotonic()
                self._newest.add(tail.read(LOOK_SECONDS))
                self.error = ""
                self._ends.wait(max(0.0, LOOK_SECONDS - (time.monotonic() - began)))

    def _is_wanted(self) -> bool:
        if time.monotonic() - self._asked_at > WANTED_SECONDS:
            self._wanted.clear()
            self.error = NOT_READ
        return self._wanted.is_set()

    def _place(self) -> tuple[str, tuple[int, ...], str]:
        """The broker's address, the topic's partitions, its id. Raises LakeError while the broker does not say them."""
        view = self._topic()
        if view.error or not view.ends:
            raise LakeError(view.error or NOT_READ, "")
        partitions = tuple(partition for (_topic, partition), _end in view.ends)
        return settings().brokers(), partitions, view.topic_id
