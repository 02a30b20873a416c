"""Which rules hold for which records: a changed plant holds from where the streams had read to when they met it.

So a record has one answer for good, in both queries, after a rebuild, and in the audit: what was an event stays one
when its zone has closed, and what was a dead letter stays one when its zone has come.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.production.plant import Rules, plant
from jobs.production.schema import DOMAIN, EVENTS
from lakehouse.core import files
from lakehouse.errors import LakeError, RefusedError, UnavailableError
from lakehouse.kafka import topics
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints, sidecar

DAY = "day starts"  # what the totals' state rests on


class Version(BaseModel):
    """Rules, and the first offset of each partition for which they hold; none named is the partition's first."""

    model_config = ConfigDict(frozen=True)

    rules: Rules
    since: Mapping[int, int] = {}


class Versions(BaseModel):
    """The rules of one topic, oldest first."""

    model_config = ConfigDict(frozen=True)

    topic_id: str
    known: tuple[Version, ...]

    def at(self, partition: int, offset: int) -> Rules:
        """The rules for a record."""
        return next(one.rules for one in reversed(self.known) if one.since.get(partition, 0) <= offset)


def file() -> Path:
    """Where they are kept; they go with the tables."""
    return settings().lake / DOMAIN.name / "_plants.json"


def of_lake() -> Versions:
    """The rules that the streams have read with; before the first start those of the plant's file.

    Raises LakeError when the file cannot be read.
    """
    try:
        return Versions.model_validate_json(file().read_bytes())
    except FileNotFoundError:
        return Versions(topic_id="", known=(Version(rules=plant().rules),))
    except (OSError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise LakeError(
            f"{file()} cannot be read: {first}.",
            "It says which zones were known when each message was read: bring it back from a backup.",
        ) from None


def settle(bootstrap_servers: str) -> Versions:
    """What a start has to read with: the plant's file has a say from where no query has read yet. Keeps that.

    Raises UnavailableError when the broker has no such topic.
    """
    found = topics.state(bootstrap_servers, EVENTS.name)
    if found is None:
        raise UnavailableError(f"The broker has no topic {EVENTS.name}.", "Start the stream again: it makes the topic.")
    return keep(found.topic_id)


def keep(topic_id: str) -> Versions:
    """The same for a topic whose id is known."""
    known, rules = of_lake(), plant().rules
    if known.topic_id not in ("", topic_id):  # made again: its offsets mean other records
        known = Versions(topic_id=topic_id, known=(Version(rules=rules),))
    elif known.known[-1].rules.differs_from(rules) and not _damaged():
        known = Versions(topic_id=topic_id, known=(*known.known, Version(rules=rules, since=_read())))
    known = known.model_copy(update={"topic_id": topic_id})
    file().parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(file(), known.model_dump(mode="json", by_alias=True))
    return known


def _damaged() -> bool:
    """Whether a checkpoint cannot say how far it has read: its query will be refused, and the rules stay."""
    return any(checkpoints.damage(checkpoints.path(DOMAIN.name, query)) for query in DOMAIN.queries)


def _read() -> dict[int, int]:
    """The first offset of each partition that no query has begun to read."""
    found: Counter[int] = Counter()
    for query in DOMAIN.queries:
        checkpoint = checkpoints.path(DOMAIN.name, query)
        if planned := checkpoints.last_planned(checkpoint):
            found |= Counter({part: end for (topic, part), end in planned.ends.items() if topic == EVENTS.name})
        if begun := sidecar.read(checkpoint):  # of a checkpoint that a rebuild is to make
            found |= Counter(begun.starts) | Counter(begun.stored_until)
    return dict(found)


def day_starts() -> str:
    """When days begin, as the totals' state rests on it; 6 is what 06:00 UTC was called before there was a choice."""
    begins = plant().begins
    return "6" if begins == "06:00 UTC" else begins


def check_day() -> None:
    """Raises RefusedError when the totals were counted for other days than the plant's file says."""
    counted = sidecar.recorded(checkpoints.path(DOMAIN.name, "totals")).get(DAY, day_starts())
    if counted != day_starts():
        raise RefusedError(
            f"The totals were counted for days that begin at {counted}, the plant's file now says {day_starts()}.",
            "Put it back, or have them counted again: `lake rebuild production.totals`, then start the stream.",
        )
