"""The decoder of batches: what it gives for each form of a value, and that it says what the exact reading says."""

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from lakehouse.events import record
from lakehouse.events.contract import contract_of
from lakehouse.events.decoder import Decoder
from lakehouse.events.fields import Flag, Letters, Long, Money, Real, Text, Time, TimeOrDay, Whole
from lakehouse.events.invalid import Invalid
from tests.cases.forms import IDS, NO_IDS, forms


class Parcel(msgspec.Struct, kw_only=True, omit_defaults=True, rename={"weight": "Weight kg"}):
    """An event with a field of each kind."""

    id: Annotated[Text, Letters("[A-Za-z0-9 .\\[\\]]{1,40}", "1 to 40 letters, digits or blanks", has="[^ ]")]
    count: Annotated[Whole, Meta(ge=0, le=100)]
    bytes: Annotated[Long, Meta(ge=-(2**53), le=2**53)] | None = None
    weight: Annotated[Real, Meta(ge=-90, le=90)] | None = None
    price: Annotated[Money, Meta(ge=0.01, le=1000)] | None = None
    fragile: Flag | None = None
    sent_at: Time | None = None
    made_at: TimeOrDay | None = None


PARCEL = contract_of(Parcel)
ALL = Decoder(PARCEL, tuple(PARCEL.columns))
GOOD = {"id": "a", "count": 1}
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def decoded(*values: bytes | None) -> list[dict[str, Any]]:
    """A row for each value, `reason` among its columns."""
    return pa.RecordBatch.from_pydict(ALL.decode(pa.array(values, pa.binary()))).to_pylist()


def with_raw(name: str, raw: str) -> bytes:
    """A good parcel whose field is this JSON."""
    return json.dumps({**GOOD, name: "\u0001"}).replace('"\\u0001"', raw).encode()


TAKEN: list[tuple[str, str, Any]] = [
    *[("count", raw, 3) for raw in ("3", "3.0", "3E0", "30e-1", '"3"', '"3.0"', '"3E0"', '"03"', '"30e-1"')],
    *[("Weight kg", raw, 2.5) for raw in ("2.5", "25e-1", '"2.5"', '"2.50"', '"02.5"')],
    *[("Weight kg", raw, 2.0) for raw in ("2", '"2"', "2.0")],
    *[("price", raw, Decimal("1.01")) for raw in ("1.005", '"1.005"', "1.01", "1.0149999", '"1005e-3"')],
    ("price", "1.00499999999999999999", Decimal("1.00")),
    ("price", "0.005", Decimal("0.01")),
    ("price", "1000.004", Decimal("1000.00")),
    *[("fragile", raw, 1) for raw in ("1", "1.0", "true", '"1"', '"true"', '"TRUE"', '"1.0"', '"01"')],
    *[("fragile", raw, 0) for raw in ("0", "-0", "false", '"0"', '"False"')],
    *[(name, raw, None) for name in ("bytes", "Weight kg", "price", "fragile") for raw in ("null", '"null"')],
    ("bytes", "9007199254740992", 2**53),
    *[("id", raw, text) for raw, text in IDS.items()],
    ("sent_at", "1795348800000", NOON),
    ("sent_at", "1795348800000.25", NOON.replace(microsecond=250)),
    ("sent_at", '"1795348800000"', NOON),
    ("sent_at", '"2026-11-22T12:00:00Z"', NOON),
    ("sent_at", '"20261122T120000,5"', NOON.replace(microsecond=500_000)),
    *[("made_at", raw, datetime(2014, 10, 13, tzinfo=UTC)) for raw in ('"2014-10-13"', '"20141013"', "1413158400000")],
]
NOT_TAKEN = [
    *[("count", raw) for raw in ("3.5", "101", "-1", "true", "[3]", "{}", '""', '" 3"', '"+3"', '"1_0"', "1e999")],
    *[("count", raw) for raw in ('"three"', '"null"', "null", '"0x3"', '"3f"', '"٣"', "3.0000000001")],
    *[("Weight kg", raw) for raw in ('"NaN"', '"Infinity"', '"-inf"', "1e999", '"1e999"', "91", "true", "[1]", '".5"')],
    *[("price", raw) for raw in ("0.004", "1000.005", "1e30", '"$1"', "-1", '"nan"', "true")],
    *[("fragile", raw) for raw in ("2", '"yes"', "0.5", "[true]", '""')],
    *[("id", raw) for raw in (*NO_IDS, '""', '" "', '"a/b"', '"a\\n"', "null")],
    *[("sent_at", raw) for raw in ("1795348800", '"2026-11-22"', '"noon"', "true", "[]", "1e30", '""', "4e18")],
    *[("made_at", raw) for raw in ('"2014-13-13"', '"2014-10"', "1413158400")],
]


@pytest.mark.parametrize(("name", "raw", "value"), TAKEN)
def test_a_form_that_is_taken(name: str, raw: str, value: Any) -> None:
    column = {"Weight kg": "weight"}.get(name, name)
    others = json.dumps(GOOD).encode()
    rows = decoded(others, with_raw(name, raw), others)
    assert [row["reason"] for row in rows] == [None] * 3
    assert rows[1][column] == value


@pytest.mark.parametrize(("name", "raw"), NOT_TAKEN)
def test_a_form_that_is_not_taken_has_a_reason_that_names_the_field(name: str, raw: str) -> None:
    [row] = decoded(with_raw(name, raw))
    assert row["reason"].startswith(f"{name}: ")
    assert {value for key, value in row.items() if key != "reason"} == {None}


def test_values_that_are_no_event_say_what_they_are() -> None:
    given = forms({**GOOD, "sent_at": "2026-11-22T12:00:00Z"})
    assert [row["reason"] for row in decoded(*[value for value, _ in given])] == [reason for _, reason in given]


def test_limits_of_a_value() -> None:
    deep = {depth: json.dumps(GOOD)[:-1] + f',"x":{"[" * depth}{"]" * depth}}}' for depth in (499, 500, 5000)}
    long = json.dumps(GOOD).encode()
    reasons = [
        row["reason"]
        for row in decoded(
            None,
            b"",
            long.ljust(256 * 1024),
            long.ljust(256 * 1024 + 1),
            bytes(record.KEPT_BYTES + 1),
            *[value.encode() for value in deep.values()],
            json.dumps({**GOOD, "x": "[" * 5000}).encode(),
            json.dumps({**GOOD, "x": "MARK"}).encode().replace(b"MARK", b"\xff"),
            b"\xef\xbb\xbf" + long,
            long[:-1] + b', "count": []}',
            b'{"count": [], ' + long[1:],
        )
    ]
    too_deep = "nested deeper than 500 levels"
    assert reasons == [
        *("null value", "empty value", None, "value larger than 256 KB", record.CUT),
        *(None, too_deep, too_deep, None, "invalid UTF-8", None, "count: an array, not a whole number", None),
    ]


def exactly(value: bytes | None) -> dict[str, Any]:
    """What the exact reading says of one value, by way of the columns of what it gives."""
    try:
        event = record.read(PARCEL, value)
    except Invalid as reason:
        return {**dict.fromkeys(PARCEL.columns), "reason": str(reason)}
    return decoded(PARCEL.encode(event))[0]


_values = st.one_of(
    st.integers(-5, 105),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([raw for _, raw, _ in TAKEN] + [raw for _, raw in NOT_TAKEN]).map(json.loads),
    st.integers(-(10**20), 10**20).map(str),
    st.floats(-100, 2000).map(repr),
    st.text(max_size=8),
)
_names = st.sampled_from([field.sent for field in PARCEL.fields.values()])


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_names, _values, max_size=5), st.booleans(), st.randoms(use_true_random=False))
def test_batches_are_read_as_one_by_one(changes: dict[str, Any], spoilt: bool, dice: random.Random) -> None:
    value = bytearray(json.dumps({**GOOD, **changes}).encode())
    if spoilt:
        value[dice.randrange(len(value))] ^= 1 << dice.randrange(8)
    rows = decoded(json.dumps(GOOD).encode(), bytes(value), None)
    assert rows[1] == exactly(bytes(value))


def test_a_value_that_breaks_the_decoder_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: Any) -> Any:
        raise ZeroDivisionError("no number")

    monkeypatch.setattr(record, "read", broken)
    reasons = [row["reason"] for row in decoded(json.dumps(GOOD).encode(), b"{")]
    assert reasons == [None, "cannot be read: ZeroDivisionError: no number"]
