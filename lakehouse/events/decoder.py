"""Decodes the values of many records at once: columns of the valid events, a reason for each of the others.

The JSON decoder takes usual events in one call each; the rules of texts, times and amounts are looked at in columns.
What is unusual in any way is read again exactly, by record.py: it decides.
"""

import functools
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.events import columns, record
from lakehouse.events.contract import EventContract
from lakehouse.events.invalid import Invalid

REASON = "reason"
_SURE = 2 * record.DEEPEST  # bytes of a value that cannot be nested too deep
Events = list[Any]
Reasons = dict[int, str]


class Decoder:
    """Decodes values into these columns of an event, and `reason`: null for a valid event, else why it is none."""

    def __init__(self, contract: EventContract, names: Sequence[str]) -> None:
        self._contract = contract
        self._names = tuple(names)
        self._fields = [field for field in contract.fields.values() if field.name in names or columns.checks(field)]
        self._read = msgspec.json.Decoder(contract.event, strict=False).decode
        required = (field for field in contract.fields.values() if field.required)
        self._blank = contract.event(**{field.name: columns.usual(field) for field in required})

    def decode(self, values: pa.Array) -> dict[str, pa.Array]:
        """The columns of a binary array of values; an invalid record has nulls in all but `reason`."""
        given = values.to_pylist()
        events, unusual = self._events(given)
        unusual |= _unsafe(values, given)
        found, others = self._columns(events)
        reasons: Reasons = {}
        if unusual := unusual | others:
            reasons = self._read_exactly(given, events, unusual)
            found, others = self._columns(events)
            assert not others, "what was read exactly is usual"
        return self._result(found, reasons, len(given))

    def _events(self, given: Sequence[bytes | None]) -> tuple[Events, set[int]]:
        """The values as events; a blank one, and its number, for each that the JSON decoder does not take."""
        events, others, read = [], set(), self._read
        for number, value in enumerate(given):
            try:
                events.append(read(value))  # type: ignore[arg-type]
            except Exception:  # whatever it is: the exact reading decides
                events.append(self._blank)
                others.add(number)
        return events, others

    def _columns(self, events: Events) -> tuple[dict[str, pa.Array], set[int]]:
        found, unusual = {}, set[int]()
        for field in self._fields:
            found[field.name], others = columns.column(field, list(map(attrgetter(field.name), events)))
            unusual.update(others)
        return found, unusual

    def _read_exactly(self, given: Sequence[bytes | None], events: Events, unusual: set[int]) -> Reasons:
        """Replace unusual events by what they are, invalid ones by a blank event. The reasons of these."""
        reasons = {}
        for number in sorted(unusual):
            try:
                events[number] = record.read(self._contract, given[number])
            except Invalid as error:
                events[number], reasons[number] = self._blank, str(error)
            except Exception as error:  # one record must not stop a stream
                events[number] = self._blank
                reasons[number] = f"cannot be read: {type(error).__name__}: {error}"[:500]
        return reasons

    def _result(self, found: dict[str, pa.Array], reasons: Reasons, rows: int) -> dict[str, pa.Array]:
        wanted = {name: found[name] for name in self._names}
        if not reasons:
            return {**wanted, REASON: pa.nulls(rows, pa.string())}
        why = pa.array([reasons.get(number) for number in range(rows)], pa.string())
        valid = pc.is_null(why)
        return {**{name: pc.if_else(valid, one, None) for name, one in wanted.items()}, REASON: why}


@functools.cache
def decoder_of(contract: EventContract, names: tuple[str, ...]) -> Decoder:
    """The decoder for these columns, kept for the life of a Python worker."""
    return Decoder(contract, names)


def _unsafe(values: pa.Array, given: Sequence[bytes | None]) -> set[int]:
    """The numbers of values that the JSON decoder may take though they are no event: no UTF-8, too long, too deep."""
    found = set()
    try:
        values.cast(pa.string())
    except pa.ArrowInvalid:
        found = {number for number, value in enumerate(given) if value is not None and not record.is_utf8(value)}
    long = pc.greater(pc.binary_length(values), _SURE)
    if pc.any(long).as_py():
        numbers = np.flatnonzero(long.fill_null(False).to_numpy(zero_copy_only=False)).tolist()
        found |= {number for number in numbers if _is_refused(given[number])}
    return found


def _is_refused(value: bytes | None) -> bool:
    return value is not None and (len(value) > record.MAX_VALUE_BYTES or record.is_deep(value))
