"""What an event is: its class read as fields with their kinds and bounds."""

import functools
import types
import typing
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from lakehouse.events.fields import Kind, Letters

NOT_GIVEN = type(None)


@dataclass(frozen=True)
class Field:
    """A field of an event: its column's name, the name it is sent with, its kind, whether an event must have it, its
    bounds (inclusive) or the rule of its text."""

    name: str
    sent: str
    kind: Kind
    required: bool
    wire: Any  # the annotation: what the JSON decoder is given
    low: float | None = None
    high: float | None = None
    letters: Letters | None = None
    about: str = ""

    @property
    def column(self) -> str:
        """The SQL type of its column."""
        return self.kind.column


@dataclass(frozen=True)
class EventContract:
    """The fields of an event's class, by name, in their order."""

    event: type[msgspec.Struct]
    fields: dict[str, Field] = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # A Python worker finds the contract that it has already: with it, its decoders.
        return contract_of, (self.event,)

    def __hash__(self) -> int:
        return hash(self.event)

    @property
    def columns(self) -> dict[str, str]:
        """The columns of the history that come from the event: name to SQL type."""
        return {one.name: one.column for one in self.fields.values()}

    def encode(self, event: msgspec.Struct) -> bytes:
        """The event as a sender of ours writes it: JSON without the fields that are not given."""
        return _encoder.encode(event)


_encoder = msgspec.json.Encoder()


@functools.cache
def contract_of(event: type[msgspec.Struct]) -> EventContract:
    """The contract that an event's class is. Raises TypeError for a field without a kind."""
    hints = get_type_hints(event, include_extras=True)
    names = zip(event.__struct_fields__, event.__struct_encode_fields__, strict=True)
    fields = {name: _field(event, name, sent, hints[name]) for name, sent in names}
    return EventContract(event, fields)


def _field(event: type[msgspec.Struct], name: str, sent: str, hint: Any) -> Field:
    optional, annotated = _without_none(hint)
    about = get_args(annotated)[1:] if get_origin(annotated) is typing.Annotated else ()
    found: dict[str, Any] = {}
    for one in about:
        match one:
            case Kind():
                found["kind"] = one
            case Letters():
                found["letters"] = one
            case Meta():
                given = {"low": one.ge, "high": one.le, "about": one.description}
                found |= {key: value for key, value in given.items() if value is not None}
    if "kind" not in found:
        raise TypeError(f"{event.__name__}.{name} has no kind; annotate it with one of lakehouse.events.fields.")
    if found["kind"] is Kind.FLAG:
        found |= {"low": 0, "high": 1}
    return Field(name, sent, required=not optional, wire=annotated, **found)


def _without_none(hint: Any) -> tuple[bool, Any]:
    """Whether a field may be missing, and its annotation without `| None`."""
    if get_origin(hint) not in (typing.Union, types.UnionType):
        return False, hint
    parts = [part for part in get_args(hint) if part is not NOT_GIVEN]
    if len(parts) == 1:
        return True, parts[0]
    return False, hint
