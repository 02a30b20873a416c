"""The plant, as conf/production.toml describes it: its zones, the keys of its messages, its day and its target."""

import functools
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lakehouse.errors import UsageError
from lakehouse.events.fields import Letters
from lakehouse.events.values import fits
from lakehouse.settings import settings

LINE = "line"  # stands in the place of a zone for the whole line

LONGEST = 128  # characters of a serial number, a concern, a zone, a collection point
# Unprintable: control characters, line and paragraph separators, characters that turn or hide the text around them.
# Listed here because the set of assigned characters depends on the Unicode version, which differs in Java and Python.
UNPRINTABLE = "\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
BLANKS = " \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
NAME = Letters(f"[^{UNPRINTABLE}]{{1,{LONGEST}}}", f"1 to {LONGEST} printable characters", has=f"[^{BLANKS}]")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _name(value: str) -> str:
    if not fits(NAME, value):
        raise ValueError(f"must be a printable text of 1 to {LONGEST} characters")
    return value


def _zone(value: str) -> str:
    if value in (LINE, ".", ".."):  # dots cannot be part of an address
        raise ValueError(f"must not be {value!r}: " + ("that is the whole line" if value == LINE else "choose a name"))
    return value


def _clock(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError("must be a time of day as HH:MM")
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):  # a folder, a path, an unknown name
        raise ValueError('must be the name of a time zone such as "Europe/Berlin"') from None
    if value.lower() in ("localtime", "local"):
        raise ValueError("must not depend on the machine")
    return value


Name = Annotated[str, BeforeValidator(_text), AfterValidator(_name)]
Zone = Annotated[Name, AfterValidator(_zone)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class Keys(_Frozen):
    """Message keys of each kind of event."""

    passes: Annotated[tuple[Name, ...], Field(alias="pass", min_length=1, strict=False)]
    defects: Annotated[tuple[Name, ...], Field(alias="defect", min_length=1, strict=False)]


class Rules(_Frozen):
    """The rules for valid events: keys, and zones with their collection points in the line's order."""

    keys: Keys
    zones: Annotated[Mapping[Zone, Annotated[tuple[Name, ...], Field(strict=False)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_points(self) -> "Rules":
        if not any(self.zones.values()):
            raise ValueError("no zone has a collection point")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> "Rules":
        spelt = [key for names in self.kinds.values() for key in names]
        if twice := {key for key in spelt if spelt.count(key) > 1}:
            raise ValueError(f"keys must be distinct, twice there is {min(twice, key=len).decode()!r}")
        return self

    def differs_from(self, other: "Rules") -> bool:
        """Whether the other rules could give another result; the order of zones is for display only."""
        return (self.kinds, self.homes, set(self.zones)) != (other.kinds, other.homes, set(other.zones))

    @property
    def kinds(self) -> dict[str, list[bytes]]:
        """The bytes of the keys by kind, plain and quoted as JSON."""
        named = {"pass": self.keys.passes, "defect": self.keys.defects}
        return {
            kind: [spelt for name in dict.fromkeys(names) for spelt in spellings(name)] for kind, names in named.items()
        }

    @property
    def homes(self) -> dict[str, str]:
        """The zone of each collection point that is in one zone only."""
        places = [(point, zone) for zone, points in self.zones.items() for point in dict.fromkeys(points)]
        often = Counter(point for point, _ in places)
        return {point: zone for point, zone in places if often[point] == 1}


class Plant(Rules):
    """The whole file."""

    time_zone: Annotated[str, AfterValidator(_time_zone)]
    day_starts: Annotated[str, AfterValidator(_clock)]
    target: Annotated[int, Field(gt=0)]

    @property
    def rules(self) -> Rules:
        """The rules for valid events."""
        return Rules(keys=self.keys, zones=self.zones)

    @property
    def begins(self) -> str:
        """The start of a day for display: 06:00 Europe/Berlin."""
        return f"{self.day_starts} {self.time_zone}"


def spellings(name: str) -> list[bytes]:
    """The bytes of a key: plain, and as JSON serializers write it."""
    return list(dict.fromkeys(text.encode() for text in (name, json.dumps(name), json.dumps(name, ensure_ascii=False))))


def plant_file() -> Path:
    """The file that describes the plant."""
    return settings().domain_conf / "production.toml"


def plant() -> Plant:
    """The plant of this process, read once. Raises UsageError, which names the file and its error."""
    return read_plant(plant_file())


@functools.cache
def read_plant(path: Path) -> Plant:
    """The plant that a file describes. Raises UsageError when the file is missing or invalid."""
    try:
        return Plant.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", _FIX) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {str(error).rstrip('.')}.", _FIX) from None
    except ValidationError as error:
        raise UsageError(
            f"{path} does not describe a plant: {'; '.join(map(_complaint, error.errors()[:3]))}.", _FIX
        ) from None


_FIX = (
    "Correct it (the repository's conf/production.toml explains each line), or name another folder: LAKE_DOMAIN_CONF."
)


def _complaint(error: Any) -> str:
    """One error: the place, the rule, the value."""
    where = ".".join(str(part) for part in error["loc"] if part != "[key]")
    rule = error["msg"].removeprefix("Value error, ").rstrip(".")
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] == "extra_forbidden":
        return f"there is no setting {where}"
    return f"{where + ': ' if where else ''}{rule[0].lower()}{rule[1:]}" + (
        f", got {error['input']!r:.80}" if where else ""
    )
