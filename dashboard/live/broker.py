"""What the broker says of a topic, asked every second: its offsets, how many events a second come in, errors."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lakehouse.errors import LakeError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import Offsets, TopicPartition
from lakehouse.settings import settings
from lakehouse.streaming import lag

BEHIND_SECONDS = 30  # a query that is this far behind the topic is catching up
# Every so many questions the broker is asked for everything: old events leave, partitions are added, topics made again.
FULL_LOOK = 10
NO_BROKER = "The Kafka broker does not answer. Check that it runs: `lake status`."
ANSWER_SECONDS = 1.0  # a broker that answers does so in milliseconds
SILENT_AFTER = 15.0  # seconds without an answer after which the broker counts as gone


@dataclass(frozen=True)
class TopicView:
    """A topic: all events it was ever sent, how many come per second now, and the error if there is one."""

    name: str
    events: int | None = None
    rate: float | None = None
    ends: tuple[tuple[TopicPartition, int], ...] = ()
    starts: tuple[tuple[TopicPartition, int], ...] = ()
    error: str = ""
    topic_id: str = ""  # another one when the topic was made again


class TopicWatch:
    """Asks the broker for a topic's offsets in a thread of its own, so that nobody has to wait for a silent broker."""

    def __init__(self, topic: str, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = topic
        self._view = TopicView(topic, error="The Kafka broker has not been asked yet.")
        self._seconds = seconds
        self._clock = clock
        self._answered_at = clock()
        self._meter = lag.RateMeter()
        self._known: topics.TopicState | None = None
        self._brokers = ""
        self._asked = 0

    def start(self) -> None:
        """Ask every second until the process ends."""
        threading.Thread(target=self._run, name=f"topic-{self._view.name}", daemon=True).start()

    def view(self) -> TopicView:
        """The last answer; an error when it is too old."""
        silent = self._clock() - self._answered_at
        if silent > SILENT_AFTER and not self._view.error:
            return replace(self._view, rate=None, error=NO_BROKER)
        return self._view

    def _run(self) -> None:
        while True:
            try:
                self.ask()
            except Exception:  # while it fails, as when the broker's address goes away between two looks
                self._fail(NO_BROKER)
            time.sleep(self._seconds)

    def ask(self) -> None:
        """One question to the broker; the answer, or what is wrong, is in `view()` afterwards."""
        name = self._view.name
        try:
            ends = self._ends(name)
        except TimeoutError:
            # Slow, or gone? Only who refuses a connection is gone for certain; the slow one has its SILENT_AFTER.
            if not topics.listens(settings().brokers()):
                self._fail(NO_BROKER)
        except LakeError as error:
            self._fail(str(error))
        except Exception:  # the client raises many types; for the reader they all mean this
            self._fail(NO_BROKER)
        else:
            if ends is None:
                self._fail(f"The broker has no topic {name} yet.")
                return
            self._answered_at = self._clock()
            events = sum(ends.values())
            rate = self._meter.add(events, self._answered_at)
            starts = self._known.starts if self._known else {}
            self._view = TopicView(
                name,
                events,
                None if rate is None else round(rate, 1),
                tuple(ends.items()),
                tuple(starts.items()),
                topic_id=self._known.ids.get(name, "") if self._known else "",
            )

    def _ends(self, name: str) -> Offsets | None:
        brokers = settings().brokers()
        self._asked += 1
        if self._known is None or brokers != self._brokers or self._asked % FULL_LOOK == 0:
            self._known, self._brokers = topics.state(brokers, name), brokers
            return self._known.ends if self._known else None
        ends = topics.end_offsets(brokers, name, [partition for _, partition in self._known.ends], ANSWER_SECONDS)
        return {(name, partition): end for partition, end in ends.items()}

    def _fail(self, sentence: str) -> None:
        self._known = None
        self._view = replace(self._view, rate=None, error=sentence)


def together(views: Sequence[TopicView]) -> TopicView:
    """Several topics as if they were one: what a query that reads all of them has to read."""
    if len(views) == 1:
        return views[0]
    events = [view.events for view in views if view.events is not None]
    rates = [view.rate for view in views if view.rate is not None]
    return TopicView(
        " and ".join(view.name for view in views),
        sum(events) if events else None,
        round(sum(rates), 1) if rates else None,
        tuple(end for view in views for end in view.ends),
        tuple(start for view in views for start in view.starts),
        next((view.error for view in views if view.error), ""),
    )
