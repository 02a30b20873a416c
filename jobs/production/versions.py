"""The rules by offset: a changed plant is valid from the offsets that the streams had read when they first saw it.

So the result for a record never changes, in both queries, after a rebuild, and in the audit: an event stays valid when
its zone is closed, and a dead letter stays invalid when its zone is added.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from jobs.production.plant import Rules, plant
from jobs.production.schema import DOMAIN, EVENTS
from lakehouse.core import files, records
from lakehouse.errors import LakeError, RefusedError
from lakehouse.kafka import topics
from lakehouse.kafka.offset_ranges import TopicPartition
from lakehouse.settings import settings
from lakehouse.streaming import checkpoints, sidecar

FORMAT = 1
DAY = "day starts"  # the key of the sidecar for it


class Version(BaseModel):
    """Rules, and by partition the first offset for which they are valid; default: the partition's first."""

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


def versions_file() -> Path:
    """The file of the versions, beside the tables."""
    return settings().lake / DOMAIN.name / "_plants.json"


def of_lake() -> Versions:
    """The rules that the streams have used; before the first start those of the plant's file.

    Raises LakeError when the file cannot be read, NewerFormatError when a newer version of the platform wrote it.
    """
    try:
        content = versions_file().read_bytes()
        records.check_format(json.loads(content), FORMAT, f"The file {versions_file()}")
        return Versions.model_validate_json(content)
    except FileNotFoundError:
        return Versions(topic_id="", known=(Version(rules=plant().rules),))
    except (OSError, ValueError, AttributeError) as error:
        first = str(error).splitlines()[0]
        raise LakeError(
            f"{versions_file()} cannot be read: {first}.",
            "It says which zones were valid for each message: restore it from a backup.",
        ) from None


def settle(bootstrap_servers: str) -> Versions:
    """The rules for a start: those of the plant's file are valid from where no query has read yet. Writes them down.

    Raises UnavailableError when the broker has no such topic.
    """
    found = topics.existing(bootstrap_servers, [EVENTS.name], "Start the stream again to create it.")
    return keep_versions(found.ids[EVENTS.name])


def keep_versions(topic_id: str) -> Versions:
    """As `settle`, for a topic with this id."""
    versions, rules = of_lake(), plant().rules
    if versions.topic_id not in ("", topic_id):  # created again: its offsets are of other records
        versions = Versions(topic_id=topic_id, known=(Version(rules=rules),))
    elif versions.known[-1].rules.differs_from(rules) and not _damaged():
        versions = Versions(topic_id=topic_id, known=(*versions.known, Version(rules=rules, since=_read_ends())))
    versions = versions.model_copy(update={"topic_id": topic_id})
    versions_file().parent.mkdir(parents=True, exist_ok=True)
    files.replace_json(versions_file(), {"format": FORMAT, **versions.model_dump(mode="json", by_alias=True)})
    return versions


def _damaged() -> bool:
    """Whether a checkpoint is damaged: its query will be refused, and the rules stay."""
    return any(checkpoints.damage(checkpoints.path(DOMAIN.name, query)) for query in DOMAIN.queries)


def _read_ends() -> dict[int, int]:
    """The first offset of each partition that no query has begun to read."""
    ends: Counter[TopicPartition] = Counter()
    for query in DOMAIN.queries:
        checkpoint = checkpoints.path(DOMAIN.name, query)
        if planned := checkpoints.last_planned(checkpoint):
            ends |= Counter(planned.ends)
        if start := sidecar.read(checkpoint):  # of a checkpoint that a rebuild will create
            ends |= Counter(start.starts) | Counter(start.stored_until)
    return {partition: end for (topic, partition), end in ends.items() if topic == EVENTS.name}


def day_starts() -> str:
    """The start of a day as the sidecar has it; 06:00 UTC is written 6, as it was before there was a choice."""
    begins = plant().begins
    return "6" if begins == "06:00 UTC" else begins


def check_day() -> None:
    """Raises RefusedError when the totals were counted for other days than the plant's file says."""
    counted = sidecar.recorded(checkpoints.path(DOMAIN.name, "totals")).get(DAY, day_starts())
    if counted != day_starts():
        raise RefusedError(
            f"The totals were counted for days that begin at {counted}; the plant's file now says {day_starts()}.",
            "Change it back, or count them again: `lake rebuild production.totals`, then start the stream.",
        )
