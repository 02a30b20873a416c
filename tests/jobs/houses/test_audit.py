"""The decoder of the audit against the pipeline's rules, over good, bad and mutated records, and in both its ways."""

import ast
import json
import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.houses import audit, audit_rules, transforms
from jobs.houses.schema import HISTORY
from lakehouse.kafka.reader import Record
from tests.cases.forms import forms
from tests.cases.sent import MILLIS, NOON, messages
from tests.jobs.houses.sales import RECORDS, event, record
from tests.jobs.houses.test_transforms import BAD, GOOD

ODD = r"""null|true|false|0|-0|-0.0|1|3.0|3.5|1e0|1E2|1e999|1e-400|007|+1|.5|5.|"1"|"true"|" 1.0 "|"1d"|"NaN"|
NaN|Infinity|[]|[1]|{}|{"a":1}|""|"abc"|"71\n"|"\ud800"|"\ud83d\ude00"|12345678901234567890|
2147483648|98549320.0|"9.5E7"|[98549320.0]|1.0000000001|221900.005|221900.015|99999999.995|100000000.004|0.005|0.004|1795348800000|
-5|999999999999999|"2026-11-22T12:00"|"2026-11-22T12:00:00.123456789Z"|"2026-11-22T12:00:60Z"|
"2026-11-22T24:00:00Z"|"2026-11-22T12:00:00+18:00"|"2026-11-22T12:00:00+18:01"|
"0000-02-29T00:00:00Z"|"1000-01-01T00:00:00Z"|"9999-12-31T23:59:59Z"|"2026-02-29T00:00:00Z"|
"2026-11-22T12:00:00Z\n"|'x'|"é"|0x10""".replace("\n", "").split("|")


TEN = ("bedrooms", "bathrooms", "sqft_living", "sqft_lot", "floors", "waterfront", "view", "yr_built")
DAY = 1_795_305_600_000_000
WHOLE = {"3": 3, "3.0": 3, "30e-1": 3, '"3"': 3, '"3.0"': 3, '"3E0"': 3, '"03"': 3}
NO_NUMBER = dict.fromkeys(["3.5", "true", '""', '" 3"', '"+3"', '"3_"', "[3]", "1e999", '"NaN"', '"true"', "-1"])
# Field -> raw value -> what is stored; None for no sale.
FORMS: dict[str, dict[str, Any]] = {
    "id": {
        **dict.fromkeys(["71", "71.0", "7.1e1", '"71"', '"0071"', '"71.00"', '"071.0"'], "71"),
        **{"2490200450.0": "2490200450", "-0": "0", '"000"': "0", '"a-1_B"': "a-1_B", '"7e1"': "7e1"},
        **dict.fromkeys(["71.5", "true", '"71.5"', '""', '"a b"', "[71]", "null", "1e300", '"\\ud800"', '"é"']),
    },
    "event_id": {
        **{"98549320.0": "98549320", '"98549320.0"': "98549320", '"0071"': "0071", '"a.0"': "a.0", "null": None},
        **{'"\\ud83d\\ude00"': "\U0001f600", '"null"': "null", "7e1": "70", f'"{"x" * 128}"': "x" * 128},
        **dict.fromkeys(["71.5", "true", '""', "[]", f'"{"x" * 129}"', '"\\udc00"']),
    },
    "price": {
        **dict.fromkeys(["221900.005", '"221900.005"', "2219.00005e2"], Decimal("221900.01")),
        **{"0.005": Decimal("0.01"), "100000000.004": Decimal("100000000.00"), "1.015": Decimal("1.02")},
        **{"221900.0049999999999999999999": Decimal("221900.00"), "0.004": None, "100000000.005": None, '"null"': None},
        **NO_NUMBER,
        "3.5": Decimal("3.50"),
    },
    "bedrooms": {**WHOLE, **NO_NUMBER, "0": 0, "100": 100, "101": None, "null": None, '"null"': None},
    "bathrooms": {**WHOLE, **NO_NUMBER, "3.5": 3.5, '"2.25"': 2.25, "-0": 0.0, "100.1": None},
    "waterfront": {
        **dict.fromkeys(["1", "1.0", "1e0", '"1"', '"1.0"', "true", '"true"', '"TRUE"'], 1),
        **dict.fromkeys(["0", "-0", "0.0", '"0"', "false", '"False"'], 0),
        **dict.fromkeys(["2", '"yes"', '""', "null", '"null"', "0.5"]),
    },
    "listed_at": {
        **dict.fromkeys(['"2026-11-22"', '"20261122"', '"2026-11-22T00:00Z"', "1795305600000", '"1.7953056e12"'], DAY),
        **{"20261122": 20_261_122_000, "-1": -1000, '"1900-01-01"': audit_rules.YEAR_1900},
        **dict.fromkeys(["1795305600", "1795305600000000", '"2026-02-29"', '"noon"', '""', "true", '"22000102"']),
    },
    "sold_at": {
        **dict.fromkeys(
            ['"2026-11-22T00:00:00Z"', '"20261122T0000+00"', '"2026-11-22 00:00:00,0z"', "1795305600000"], DAY
        ),
        **{"1795305600000.0019": DAY + 1, '"2026-11-22T00:00:00.000001999"': DAY + 1, '"1795305600000.25"': DAY + 250},
        **dict.fromkeys(
            ['"2026-11-22"', '"20261122"', "1795305600", '"1999-12-31T23:59:59Z"', '"2099-01-01T00:00:00Z"']
        ),
    },
}


def mutated(seed: int, count: int) -> list[Any]:
    """A sale with each odd value in each field, fields twice, and flipped, cut and replaced bytes."""
    draw, base = random.Random(seed), json.dumps(event())
    made: list[Any] = [*GOOD, *[value for value, _ in BAD]]
    for name in [*event(), "extra"]:
        rest = json.dumps({key: value for key, value in event().items() if key != name})[:-1]
        made += [f'{rest}, "{name}": {odd}}}'.encode() for odd in ODD]
        made += [f'{base[:-1]}, "{name}": {odd}}}'.encode() for odd in ("null", "[1]", '"x"', "1")]
        made += [f'{{"{name}": {odd}, {base[1:]}'.encode() for odd in ("null", "[1]", '"x"', "1")]
    made += [
        f'{base[:-1]}, "extra": {"[" * deep}{"]" * deep}}}'.encode() for deep in (2, 995, 996, 997, 998, 999, 20_000)
    ]
    made += [f'{base[:-1]}, "extra": {one}}}'.encode() for one in ("1" * 1000, "1" * 1100, "0." + "0" * 1100 + "1")]
    for name in ("x" * 50_000, "x" * 50_001):
        made += [f'{base[:-1]}, "{name}": 1}}'.encode(), f'{base[:-1]}, "extra": [{{"{name}": 1}}]}}'.encode()]
    made += [value for value, _reason in forms(event())]
    for _ in range(count):
        value = bytearray(base.encode())
        at = draw.randrange(len(value))
        if draw.random() < 0.5:
            value[at] ^= 1 << draw.randrange(8)
        elif draw.random() < 0.2:
            value = value[:at]
        else:
            value[at : at + draw.randint(0, 2)] = bytes(
                draw.choices(b'{}[]",:0123456789eE.- \\ntf', k=draw.randint(1, 3))
            )
        made.append(bytes(value))
    return made


def plain_types(rows: pa.Table) -> list[dict[str, Any]]:
    kinds = [(one.name, pa.int64() if pa.types.is_timestamp(one.type) else one.type) for one in HISTORY.arrow_schema]
    found: list[dict[str, Any]] = rows.cast(HISTORY.arrow_schema).cast(pa.schema(kinds)).to_pylist()
    return sorted(found, key=lambda row: row["offset"])


def records(values: list[Any]) -> list[Record]:
    made = [record(value, number) for number, value in enumerate(values)]
    return [
        Record(row[2], int(row[3].timestamp() * 1000), None, None if row[5] is None else bytes(row[5])) for row in made
    ]


@pytest.mark.spark
def test_both_decoders_keep_and_refuse_the_same(spark: SparkSession) -> None:
    values = mutated(6, 1500)
    given = spark.createDataFrame([record(value, number) for number, value in enumerate(values)], RECORDS)
    theirs = plain_types(transforms.valid_sales(given).toArrow())
    decoded = audit.decode(("houses", 0), records(values))
    ours = plain_types(decoded.rows)
    assert [row["offset"] for row in ours] == [row["offset"] for row in theirs]
    assert ours == theirs
    assert len(ours) > 400
    assert sorted(decoded.refused) == sorted(set(range(len(values))) - {row["offset"] for row in ours})


def test_in_columns_or_one_by_one_the_sales_are_the_same() -> None:
    given = records(mutated(7, 1500))
    one_by_one, refused = audit._one_by_one(("houses", 0), given)
    decoded = audit.decode(("houses", 0), given)
    assert plain_types(decoded.rows) == plain_types(one_by_one)
    assert decoded.refused == refused


def test_usual_sales_are_decoded_in_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("one by one")

    monkeypatch.setattr(audit_rules, "sale", never)
    usual = [event(id=str(number + 1), price=number + 0.07 + 1, event_id=f"e-{number}") for number in range(1000)]
    decoded = audit.decode(("houses", 0), records(usual))
    assert (decoded.rows.num_rows, decoded.refused) == (1000, {})
    assert decoded.rows["price"].to_pylist()[:2] == [Decimal(text) for text in ("1.07", "2.07")]


@pytest.mark.parametrize("name", FORMS)
def test_a_field_is_taken_in_these_forms_and_no_others(name: str) -> None:
    """Alone, among usual sales, and as a field that stands there for the second time."""
    usual = [json.dumps(event(id=str(number + 1))).encode() for number in range(200)]
    for raw, expected in FORMS[name].items():
        value = json.dumps(event(**{name: "\u0001"})).replace('"\\u0001"', raw).encode()
        twice = b'{"' + name.encode() + b'":[{}],' + value[1:]
        for given in ([value], [*usual[:77], value, *usual[77:]], [twice]):
            decoded = audit.decode(("houses", 0), records(given))
            at = given.index(value) if value in given else 0
            found = {row["offset"]: row[name] for row in plain_types(decoded.rows)}
            assert found.get(at) == expected, (raw, decoded.refused)
            assert (at in found) == (at not in decoded.refused)
            assert len(found) + len(decoded.refused) == len(given)


def test_the_cases_of_other_senders() -> None:
    """The sales that are taken, by their label, and that of the cases 10 and 11 all say the same sale or instant."""
    texts, times = (messages(f"{case}/houses.jsonl") for case in ("10-csv-strings", "11-time-forms"))
    given = [*texts, *times]
    made = [Record(number, MILLIS + 1000, key, value) for number, (key, value) in enumerate(given)]
    decoded = audit.decode(("houses", 0), made)
    rows = {row["offset"]: row for row in decoded.rows.to_pylist()}
    bought = [{name: rows[number][name] for name in ("id", "price", *TEN)} for number in range(len(texts))]
    assert bought == [bought[0]] * 6
    refused = sorted(number - len(texts) for number in decoded.refused)
    assert refused == [11, 13, 14, 15, 16, 18]
    noons = {number: rows[len(texts) + number]["sold_at"] for number in range(13) if number != 11}
    assert set(noons.values()) <= {NOON, NOON + timedelta(microseconds=250)}
    days = [rows[len(texts) + number]["listed_at"] for number in range(19, 23)]
    assert all(day and day.hour == 0 for day in days), days


@pytest.mark.parametrize("closing", ['],"x":[1', "]}", "]} {", ',{"id":1}'])
def test_what_follows_the_object_spoils_it(closing: str) -> None:
    (given,) = records([json.dumps(event()).encode() + closing.encode()])
    with pytest.raises(audit_rules.NoSale, match="not JSON"):
        audit_rules.sale(given.value, given.millis * 1000)


@pytest.mark.parametrize("file", ["audit.py", "audit_rules.py"])
def test_the_decoder_shares_no_code_with_the_pipeline(root: Path, file: str) -> None:
    tree = ast.parse((root / "jobs/houses" / file).read_text())
    names = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {"transforms", "pyspark", "FIELDS"} & names
    assert not any("pyspark" in str(module) or "transforms" in str(module) for module in modules)
