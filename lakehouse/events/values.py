"""One value of an event's field, read exactly: for what the JSON decoder does not take at once, and for the reasons."""

import re
from decimal import ROUND_HALF_UP, Decimal, DecimalException
from typing import Any

import msgspec

from lakehouse.events import times
from lakehouse.events.contract import Field
from lakehouse.events.fields import Kind, Letters
from lakehouse.events.invalid import Invalid

NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE_TEXT = re.compile(r"(-?\d+)\.0+", re.ASCII)  # an id out of a column of floats
_LONGEST_ID = 256  # digits of a number that is an id
_CENT = Decimal("0.01")
_KINDS_OF_JSON = {"[": "an array", "{": "an object", "t": "true or false", "f": "true or false"}
_scalar = msgspec.json.Decoder(str | bool | None)


def read(field: Field, raw: bytes) -> Any:
    """The value as the JSON decoder would give its most usual form; None for null. Raises Invalid with the reason.

    Usual are: an id as its text, a time as a text in UTC, an amount as a double that is whole cents.
    """
    text = raw.decode().strip(" \t\r\n")
    if text == "null":
        return None
    match field.kind:
        case Kind.TEXT:
            return _text(field, text)
        case Kind.TIME | Kind.TIME_OR_DAY:
            return times.text_of(_micros(field, text))
    if text[0] == '"' and text[1:-1].lower() == "null" and not field.required:
        return None
    return float(_money(field, text)) if field.kind is Kind.MONEY else _number(field, text)


def _text(field: Field, text: str) -> str:
    if text[0] == '"':
        found = str(_scalar.decode(text))
        whole = _WHOLE_TEXT.fullmatch(found)
        found = whole[1] if whole else found
    elif text[0] in _KINDS_OF_JSON:
        raise Invalid(f"{field.sent}: {_KINDS_OF_JSON[text[0]]}; {field.kind.wanted} is wanted")
    else:
        found = _digits(field, text)
    if field.letters and not fits(field.letters, found):
        raise Invalid(f"{field.sent}: not {field.letters.wanted}")
    return found


def fits(letters: Letters, text: str) -> bool:
    """Whether a text keeps to its rule."""
    return bool(re.fullmatch(letters.pattern, text) and re.search(letters.has, text))


def _digits(field: Field, text: str) -> str:
    """A whole number's digits, of its own text: a double would make another id of a long one."""
    try:
        number = Decimal(text)
    except DecimalException:
        number = Decimal("NaN")
    if not number.is_finite() or number.adjusted() > _LONGEST_ID:
        raise Invalid(f"{field.sent}: a number of more than {_LONGEST_ID} digits; {field.kind.wanted} is wanted")
    if number != number.to_integral_value():
        raise Invalid(f"{field.sent}: a number with a fraction; {field.kind.wanted} is wanted")
    return str(int(number))


def _micros(field: Field, text: str) -> int:
    given = _unquoted(field, text)
    try:
        if NUMBER.fullmatch(given) and not (field.kind is Kind.TIME_OR_DAY and _is_day(text, given)):
            return times.micros_of_number(Decimal(given))
        if text[0] == '"':
            return times.micros_of_text(given, day_is_taken=field.kind is Kind.TIME_OR_DAY)
        seen = ""
    except times.NoTime as error:
        seen = str(error)
    except DecimalException:
        seen = ""
    if seen.startswith("not from"):
        raise Invalid(f"{field.sent}: {seen}")
    raise Invalid(f"{field.sent}: {seen or _kind_of(text)}, not {field.kind.wanted}")


def _is_day(text: str, given: str) -> bool:
    return text[0] == '"' and len(given) == 8 and given.isdigit()


def _money(field: Field, text: str) -> Decimal:
    given = _unquoted(field, text)
    if not NUMBER.fullmatch(given):
        raise _unlike(field, text)
    try:
        amount = Decimal(given).quantize(_CENT, ROUND_HALF_UP)
    except DecimalException:  # far out of any bounds
        raise _out_of_bounds(field) from None
    if field.low is not None and field.high is not None and not field.low <= float(amount) <= field.high:
        raise _out_of_bounds(field)
    return amount


def _number(field: Field, text: str) -> Any:
    given = _unquoted(field, text)
    if field.kind is Kind.FLAG and given.lower() in ("true", "false"):
        return int(given.lower() == "true")
    if not NUMBER.fullmatch(given):
        raise _unlike(field, text)
    plain = re.sub(r"^(-?)0+(?=\d)", r"\1", given)
    try:
        return msgspec.json.decode(plain, type=field.wire, strict=False)
    except msgspec.ValidationError:
        pass
    number = Decimal(given)
    if field.kind is not Kind.REAL and abs(number) < 10**15 and number != number.to_integral_value():
        raise _unlike(field, text, "a number with a fraction")
    raise _out_of_bounds(field)


def _unquoted(field: Field, text: str) -> str:
    return str(_scalar.decode(text)) if text[0] == '"' else text


def _kind_of(text: str) -> str:
    if text == '""':
        return "an empty text"
    return "a text" if text[0] == '"' else _KINDS_OF_JSON.get(text[0], "a number")


def _unlike(field: Field, text: str, seen: str = "") -> Invalid:
    return Invalid(f"{field.sent}: {seen or _kind_of(text)}, not {field.kind.wanted}")


def _out_of_bounds(field: Field) -> Invalid:
    return Invalid(f"{field.sent}: out of bounds ({field.low:.12g} to {field.high:.12g})")
