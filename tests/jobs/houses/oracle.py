"""What a sale is, said a second time in plain Python: no code, bounds or names of the pipeline are used.

Tests hold the pipeline to it. It is strict where JSON is, and knows the parser's limits (depth, length of numbers).
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

WHOLE, NUMBER, TEXT, TIME = "whole", "number", "text", "time"
REQUIRED = {
    "id": (TEXT, None, None),
    "price": (NUMBER, 0.01, 1e8),
    "bedrooms": (WHOLE, 0, 100),
    "bathrooms": (NUMBER, 0, 100),
    "sqft_living": (WHOLE, 1, 1e6),
    "sqft_lot": (WHOLE, 0, 1e9),
    "floors": (NUMBER, 0, 200),
    "waterfront": (TEXT, None, None),
    "view": (WHOLE, 0, 4),
    "yr_built": (WHOLE, 1800, 2100),
}
OPTIONAL = {
    "condition": (WHOLE, 1, 5),
    "grade": (WHOLE, 1, 13),
    "sqft_above": (WHOLE, 0, 1e6),
    "sqft_basement": (WHOLE, 0, 1e6),
    "yr_renovated": (WHOLE, 0, 2100),
    "zipcode": (WHOLE, 0, 99999),
    "lat": (NUMBER, -90, 90),
    "long": (NUMBER, -180, 180),
    "sqft_living15": (WHOLE, 0, 1e6),
    "sqft_lot15": (WHOLE, 0, 1e9),
    "listed_at": (TIME, None, None),
    "sold_at": (TIME, None, None),
    "event_id": (TEXT, None, None),
}
KNOWN = REQUIRED | OPTIONAL
ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))?"
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_NUMBER, LONGEST_NAME, DEEPEST = 1000, 50_000, 998  # what the JSON parser of the pipeline takes


class Bad(Exception):
    """Not a sale."""


class Numeral(str):
    """A JSON number as it was written."""


class Fields(dict[str, Any]):
    """A JSON object that also keeps the pairs that a later one of the same name has replaced."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        if any(len(name) > LONGEST_NAME for name, _value in pairs):
            raise Bad("a name too long")


@dataclass(frozen=True)
class Sale:
    """What the tests compare: event_at in microseconds since 1970."""

    id: str
    cents: int
    yr_built: int
    event_at: int
    event_id: str | None

    @property
    def window_and_decade(self) -> tuple[int, int]:
        """Start of the two-minute window in microseconds, and the decade built."""
        return self.event_at // 120_000_000 * 120_000_000, self.yr_built // 10 * 10


def decode(value: bytes | None, recorded_at_ms: int) -> Sale | None:
    """The sale in a record's value; None when it is none."""
    try:
        return _sale(_object(value), recorded_at_ms)
    except (Bad, ValueError):
        return None


def averages(sales: list[Sale]) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Average, number and sum in cents by (window start in microseconds, decade)."""
    sums: dict[tuple[int, int], list[int]] = {}
    for sale in sales:
        cell = sums.setdefault(sale.window_and_decade, [0, 0])
        cell[0] += sale.cents
        cell[1] += 1
    return {key: (cents / (100 * count), count, cents) for key, (cents, count) in sums.items()}


def _object(value: bytes | None) -> Fields:
    if value is None or len(value) > 256 * 1024:
        raise Bad("null or too large")
    text = value.decode("utf-8")
    if _depth(text) > DEEPEST:
        raise Bad("too deep")
    read = json.loads(
        text, object_pairs_hook=Fields, parse_int=_numeral, parse_float=_numeral, parse_constant=_no_constant
    )
    if not isinstance(read, Fields):
        raise Bad("not an object")
    return read


def _depth(text: str) -> int:
    """How deep brackets are nested outside of strings."""
    depth = deepest = 0
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', text, re.DOTALL):
        depth += 1 if bracket in "[{" else -1 if bracket in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


def _numeral(text: str) -> Numeral:
    if len(text) > LONGEST_NUMBER:
        raise Bad("a number too long")
    return Numeral(text)


def _no_constant(_text: str) -> None:
    raise Bad("NaN or Infinity")


def _sale(event: Fields, recorded_at_ms: int) -> Sale:
    for name, value in event.pairs:  # a replaced value, too, must be of its field's type
        if KNOWN.get(name, (TEXT,))[0] in (WHOLE, NUMBER) and not isinstance(value, Numeral | None):
            raise Bad(f"{name} is no number")
    if missing := [name for name in REQUIRED if event.get(name) is None]:
        raise Bad(f"{missing} missing")
    read = {name: _value(name, event[name]) for name in KNOWN if event.get(name) is not None}
    event_at = read.get("sold_at", recorded_at_ms * 1000)
    if event_at < _micros(datetime(2000, 1, 1, tzinfo=UTC)) or event_at > (recorded_at_ms + 300_000) * 1000:
        raise Bad("event time")
    return Sale(read["id"], int(read["price"] * 100), read["yr_built"], event_at, read.get("event_id"))


def _value(name: str, given: Any) -> Any:
    kind, low, high = KNOWN[name]
    if kind in (TEXT, TIME):
        return _text(name, kind, given)
    number = float(given)
    if abs(number) >= 2**31 or (kind == WHOLE and number != int(number)):
        raise Bad(f"{name} is too large or not whole")
    exact = Decimal(repr(number)).quantize(Decimal("0.01"), ROUND_HALF_UP) if name == "price" else Decimal(repr(number))
    if not Decimal(repr(float(low))) <= exact <= Decimal(repr(float(high))):
        raise Bad(f"{name} out of bounds")
    return int(number) if kind == WHOLE else exact


def _text(name: str, kind: str, given: Any) -> Any:
    text = _as_text(given)
    if kind == TIME:
        at = _time(text)
        if not _micros(datetime(1900, 1, 1, tzinfo=UTC)) <= at <= _micros(datetime(2200, 1, 1, tzinfo=UTC)):
            raise Bad("beyond what readers can read")
        return at
    if name == "waterfront":
        if text not in ("true", "false") and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text):
            raise Bad("waterfront")
        number = float(text == "true") if text in ("true", "false") else float(text)
        if number not in (0.0, 1.0):
            raise Bad("waterfront")
        return int(number)
    if name == "event_id":
        if not 1 <= len(text) <= 128:
            raise Bad("event_id")
        return text
    whole = re.fullmatch(r"0*([0-9]+)(\.0+)?", text)
    text = whole[1] if whole else text
    if not re.fullmatch("[A-Za-z0-9_-]{1,64}", text):
        raise Bad("id")
    return text


def _as_text(given: Any) -> str:
    """What a text field is given when it is no text: JSON, numbers with a fraction or exponent as Java writes them."""
    if isinstance(given, Numeral) and re.search("[.eE]", given):
        return _as_java_writes(float(given))
    if isinstance(given, str):
        return str(given)
    dumped = json.dumps(given, separators=(",", ":"))
    return re.sub(r'"(-?[0-9][0-9.eE+-]*)"', r"\1", dumped)  # numerals are not texts


def _as_java_writes(number: float) -> str:
    if number in (float("inf"), float("-inf")):
        return '"Infinity"' if number > 0 else '"-Infinity"'
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        return repr(number)
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    mantissa = f"{digits[0]}.{''.join(map(str, digits[1:])) or '0'}"
    return f"{'-' * sign}{mantissa}E{int(exponent) + len(digits) - 1}"


def has_a_field_twice(value: bytes) -> bool:
    """Whether a known field is in the object more than once."""
    names = [name for name, _value in _object(value).pairs if name in KNOWN]
    return len(names) > len(set(names))


def _time(text: str) -> int:
    """Microseconds since 1970; a time without a zone is UTC, digits below a microsecond are cut off."""
    if re.fullmatch("-?[0-9]{1,15}", text):
        return int(text) * 1000
    found = ISO.fullmatch(text)
    if not found:
        raise Bad("no time")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    micros = int((found[7] or "0").ljust(6, "0")[:6])
    ahead = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
    if ahead > timedelta(hours=18) or int(found[10] or 0) > 59:
        raise Bad("no such zone")
    local = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
    return _micros(local) + (1 if found[8] == "-" else -1) * (ahead // timedelta(microseconds=1))


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
