"""A whole record read exactly, field by field: slower than the decoder of batches, for what that one does not take."""

import functools
import re
from typing import Any

import msgspec

from lakehouse.events import values
from lakehouse.events.contract import EventContract, Field
from lakehouse.events.forms import NO_OBJECT, NO_TEXT, envelope_of, form_of
from lakehouse.events.invalid import Invalid

MAX_VALUE_BYTES = 256 * 1024
# How much of a value a dead letter keeps. A larger one can only have been sent compressed.
KEPT_BYTES = 4 * 1024 * 1024
CUT = "value larger than 4 MB once unpacked, only its start is kept"
DEEPEST = 500  # brackets within brackets
MARK = b"\xef\xbb\xbf"  # a byte order mark, which some senders write before their JSON
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(contract: EventContract, value: bytes | None) -> msgspec.Struct:
    """The event in a record's value, its fields in their most usual form. Raises Invalid with the reason."""
    raw = _fields(value)
    found: dict[str, Any] = {}
    for field in contract.fields.values():
        given = values.read(field, bytes(raw[field.sent])) if field.sent in raw else None
        if given is not None:
            found[field.name] = given
        elif field.required:
            raise Invalid(
                envelope_of(raw) or _missing(field, raw.keys() - {one.sent for one in contract.fields.values()})
            )
    return contract.event(**found)


def _fields(value: bytes | None) -> dict[str, msgspec.Raw]:
    """The raw values of the one JSON object that a record's value is. Raises Invalid."""
    if not value:
        raise Invalid("null value" if value is None else "empty value")
    if len(value) > KEPT_BYTES:
        raise Invalid(CUT)
    if len(value) > MAX_VALUE_BYTES:
        raise Invalid(f"value larger than {MAX_VALUE_BYTES // 1024} KB")
    if not is_utf8(value):
        raise Invalid(form_of(value))
    if is_deep(value):
        raise Invalid(f"nested deeper than {DEEPEST} levels")
    try:
        return _raw_fields.decode(value.removeprefix(MARK))
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid(form_of(value)) from None


def is_utf8(value: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_deep(value: bytes) -> bool:
    """Whether brackets are nested deeper than DEEPEST."""
    if value.count(b"[") + value.count(b"{") <= DEEPEST:
        return False
    depth = deepest = 0
    for bracket in re.findall(rb"[\[\]{}]", _QUOTED.sub(b"", value)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest > DEEPEST


def _missing(field: Field, others: set[str]) -> str:
    alike = _bare(field.sent) in {_bare(name) for name in others}
    return f"{field.sent}: missing{'; a field of nearly this name is there' if alike else ''}"


@functools.lru_cache(1000)
def _bare(name: str) -> str:
    """A field's name without case and punctuation, since senders differ: sqftLiving, `SQFT LIVING`, sqft_living."""
    return re.sub("[^a-z0-9]", "", name.lower())


__all__ = ["CUT", "KEPT_BYTES", "MAX_VALUE_BYTES", "NO_OBJECT", "NO_TEXT", "is_deep", "is_utf8", "read"]
