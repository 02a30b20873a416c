"""The decoder of the audit against the pipeline's rules, over good, bad and mutated records, and in both its ways."""

import ast
import json
import random
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
from tests.jobs.houses.sales import RECORDS, event, record
from tests.jobs.houses.test_transforms import BAD, GOOD

ODD = r"""null|true|false|0|-0|-0.0|1|3.0|3.5|1e0|1E2|1e999|1e-400|007|+1|.5|5.|"1"|"true"|" 1.0 "|"1d"|"NaN"|
NaN|Infinity|[]|[1]|{}|{"a":1}|""|"abc"|"71\n"|"\ud800"|"\ud83d\ude00"|12345678901234567890|
2147483648|98549320.0|"9.5E7"|[98549320.0]|1.0000000001|221900.005|221900.015|99999999.995|100000000.004|0.005|0.004|1795348800000|
-5|999999999999999|"2026-11-22T12:00"|"2026-11-22T12:00:00.123456789Z"|"2026-11-22T12:00:60Z"|
"2026-11-22T24:00:00Z"|"2026-11-22T12:00:00+18:00"|"2026-11-22T12:00:00+18:01"|
"0000-02-29T00:00:00Z"|"1000-01-01T00:00:00Z"|"9999-12-31T23:59:59Z"|"2026-02-29T00:00:00Z"|
"2026-11-22T12:00:00Z\n"|'x'|"é"|0x10""".replace("\n", "").split("|")


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


def test_a_name_too_long_spoils_usual_sales_as_well() -> None:
    """As many as are decoded in columns; how long is too long, Spark says in the test of both decoders."""
    value = f'{json.dumps(event())[:-1]}, "{"x" * 50_001}": 1}}'.encode()
    assert len(audit.decode(("houses", 0), records([value] * (audit.FEWEST + 1))).refused) == audit.FEWEST + 1


@pytest.mark.parametrize("closing", ['],"x":[1', "]}", "]} {", ',{"id":1}'])
def test_what_follows_the_object_spoils_it(closing: str) -> None:
    (given,) = records([json.dumps(event()).encode() + closing.encode()])
    with pytest.raises(audit_rules.NoSale, match="not one JSON object"):
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
