"""The audits' JSON reader against tables of what is taken and what is not, and against the values that were sent."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.audit import json_records
from lakehouse.audit.json_records import Number

OBJECTS: dict[str | bytes, Any] = {
    '{"id": "a"}': {"id": "a"},
    ' \t\r\n{"id": "a"} \n': {"id": "a"},
    b'\xef\xbb\xbf {"id": "a"}': {"id": "a"},
    "{}": {},
    '{"id": [1], "id": "b"}': {"id": "b"},
    '{"id": "a", "id": null}': {"id": None},
    '{"n": -0.50e+1}': {"n": "-0.50e+1"},
    '{"n": ' + "9" * 5000 + "}": {"n": "9" * 5000},
    '{"\\u0069d": "\\ud83d\\ude00 \\\\ud800 \\n \\u00e9"}': {"id": "\U0001f600 \\ud800 \n é"},
    '{"id": "' + "[" * 600 + '\\"["}': {"id": "[" * 600 + '"['},
    '{"n": ' + "[" * 499 + "]" * 499 + "}": None,
    '{"' + "x" * 60_000 + '": 1}': {"x" * 60_000: "1"},
}
NO_OBJECTS: list[bytes] = [
    b"",
    b" ",
    b"\xef\xbb\xbf",
    b'\xef\xbb\xbf\xef\xbb\xbf{"id": 1}',
    b'["id"]',
    b'"id"',
    b"1",
    b"null",
    b'{"id": 007}',
    b'{"id": +1}',
    b'{"id": .5}',
    b'{"id": 1.}',
    b'{"id": NaN}',
    b'{"id": [-Infinity]}',
    b"{'id': 1}",
    b'{"id": 1,}',
    b'{"id": 1} {"id": 2}',
    b'{"id": 1}\x00',
    b'{"id": "a\tb"}',
    b'{"id": "\\x"}',
    b'{"id": "\xff"}',
    b'{"id": "\xed\xa0\x80"}',
    b'{"id": "\\ud800"}',
    b'{"id": "\\ud800", "id": 1}',
    b'{"\\udfff": 1}',
    b'{"id": ["\\ud83d\\n\\ude00"]}',
    b'{"id": "\\ude00\\ud83d"}',
    b'{"n": ' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"n": ' + b"[" * 100_000 + b"}",
    b'{"n": "' + b"x" * 262_144 + b'"}',
]
IDS = {
    "71": "71",
    "71.0": "71",
    "7.1e1": "71",
    "2.49020045E9": "2490200450",
    "12345678901234567890.00": "12345678901234567890",
    "-0": "0",
    "-0.0": "0",
    '"71.00"': "71",
    '"-71.0"': "-71",
    '"0071"': "0071",
    '"7.1e1"': "7.1e1",
    '"71."': "71.",
    '"71.01"': "71.01",
    '"[1.0]"': "[1.0]",
    '""': "",
    "null": "",
    "71.5": None,
    "1e400": None,
    "1e-400": None,
    "1e99999999999999999999": None,
    "true": None,
    "[1]": None,
    '{"a": 1}': None,
}
WHOLE = {
    "3": 3,
    "3.0": 3,
    "3E0": 3,
    "30e-1": 3,
    "-0": 0,
    '"3"': 3,
    '"3.0"': 3,
    '"3E+0"': 3,
    '"02134"': 2134,
    "null": "missing",
    '"null"': "missing",
    '"NULL"': "missing",
    "3.5": None,
    "1e999": None,
    "true": None,
    '""': None,
    '" 3"': None,
    '"+3"': None,
    '"3_0"': None,
    '"\u0663"': None,
    '"3."': None,
    '"NaN"': None,
    "[3]": None,
}
FLAGS = {
    "0": 0,
    "1.0": 1,
    '"1"': 1,
    '"1e0"': 1,
    "true": 1,
    "false": 0,
    '"TRUE"': 1,
    '"False"': 0,
    "null": "missing",
    '"null"': "missing",
    "2": None,
    '"yes"': None,
    '""': None,
    "0.5": None,
}
MONEY = {
    "221900": "221900.00",
    "221900.005": "221900.01",
    "221900.0049999999999999999999999": "221900.00",
    "1.115": "1.12",
    "-0.005": "-0.01",
    '"2.219e5"': "221900.00",
    "null": "missing",
    "1e999": None,
    "1e99999999999999999999": None,
    '"$3"': None,
}


def field(raw: str) -> dict[str, Any]:
    return json_records.object_of(f'{{"f": {raw}}}'.encode())


def value_of(read: Callable[..., Any], raw: str) -> Any:
    """What a reader makes of a raw value: None for no event."""
    try:
        found = read(field(raw), "f")
    except json_records.NoEvent:
        return None
    return "missing" if found is None else found


@pytest.mark.parametrize("value", OBJECTS, ids=range(len(OBJECTS)))
def test_these_are_objects(value: str | bytes) -> None:
    read = json_records.object_of(value if isinstance(value, bytes) else value.encode())
    assert OBJECTS[value] is None or read == OBJECTS[value]


@pytest.mark.parametrize("value", NO_OBJECTS, ids=range(len(NO_OBJECTS)))
def test_these_are_not(value: bytes) -> None:
    with pytest.raises(json_records.NoEvent):
        json_records.object_of(value)


@pytest.mark.parametrize(
    ("read", "table"),
    [
        (json_records.id_of, IDS),
        (json_records.whole_of, WHOLE),
        (json_records.flag_of, FLAGS),
        (json_records.money_of, {raw: Decimal(to) if to and to[0] in "-012" else to for raw, to in MONEY.items()}),
    ],
)
def test_forms_of_values(read: Callable[..., Any], table: dict[str, Any]) -> None:
    assert {raw: value_of(read, raw) for raw in table} == table


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_real_number_is_the_double_that_was_sent(number: float) -> None:
    sent = json.dumps(number)
    assert value_of(json_records.real_of, sent) == value_of(json_records.real_of, f'"{sent}"') == number


@given(st.integers(-(10**40), 10**40), st.integers(0, 30))
def test_a_whole_number_is_its_digits_however_it_is_written(number: int, zeros: int) -> None:
    for sent in (f"{number}", f"{number}.{'0' * zeros}0", f"{number}{'0' * zeros}e-{zeros}"):
        assert value_of(json_records.id_of, sent) == str(number)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_a_text_is_the_text_that_was_sent(text: str, plain: bool) -> None:
    assert json_records.object_of(json.dumps({"f": text}, ensure_ascii=plain).encode()) == {"f": text}


@given(st.lists(st.sampled_from(["\ud800", "\udbff", "\udc00", "\udfff", "a", "\\", '"', "\U0001f600"])))
def test_half_of_a_character_is_found_wherever_it_is(parts: list[str]) -> None:
    text = "".join(parts)
    value = json.dumps({"other": [text]}).encode()
    is_whole = not any("\ud800" <= one <= "\udfff" for one in json.loads(json.dumps(text)))
    try:
        json_records.object_of(value)
    except json_records.NoEvent:
        assert not is_whole
    else:
        assert is_whole


def test_a_number_is_kept_as_it_was_written() -> None:
    assert field("1.50") == {"f": "1.50"}
    assert isinstance(field("1.50")["f"], Number)
    assert not isinstance(field('"1.50"')["f"], Number)
