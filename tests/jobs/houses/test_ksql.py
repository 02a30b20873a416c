"""houses.ksql says the same as schema.py and the transforms that it mirrors, and any drift between them is noticed."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.houses import schema, transforms, window_updates
from jobs.houses.events import ID
from lakehouse.events.contract import Field
from lakehouse.events.fields import Kind
from lakehouse.events.times import READABLE
from lakehouse.settings import ROOT
from tests.jobs.houses.ksql_script import KsqlSyntaxError, Window, parse, queries

SCRIPT = (ROOT / "jobs/houses/houses.ksql").read_text()
TABLES = ("AVG_PRICE_PER_YEAR", "AVG_PRICE_PER_YEAR_HOPPING")
FORMAT = {"KEY_FORMAT": "KAFKA", "VALUE_FORMAT": "JSON"}
# A time stays text until it is parsed with our own format; the reason for DOUBLE is in the script.
TYPES = {"STRING": "VARCHAR", "INT": "INTEGER", "DOUBLE": "DOUBLE", "TIMESTAMP": "VARCHAR", Kind.MONEY.column: "DOUBLE"}
TIME = "PARSE_TIMESTAMP ( {} , 'yyyy-MM-dd[''T''][ ]HH:mm[:ss][.SSSSSS][.SSS][XXX]' , 'UTC' )"
EVENT_AT = f"COALESCE ( UNIX_TIMESTAMP ( {TIME.format('SOLD_AT')} ) , ROWTIME )"
MESSAGE = {
    "DECADE_BUILT": "AS_VALUE ( DECADE )",
    "AVG_PRICE": "AVG ( PRICE )",
    "NUM_HOUSES": "COUNT ( * )",
    "WINDOW_START": "WINDOWSTART",
    "WINDOW_END": "WINDOWEND",
}


def _said(script: str) -> dict[str, Any]:
    """What the script says, by statement and part."""
    parts: dict[str, Any] = {}
    for statement in parse(script):
        mirrored = re.findall(r"\b(?:transforms|window_updates)\.\w+", statement.about.split(":")[0])
        about = {"mirrors": mirrored, "columns": statement.columns, "properties": statement.properties}
        for part, value in (about | (vars(statement.query) if statement.query else {})).items():
            parts[f"{statement.name} {part}"] = list(value.items()) if part == "select" else value
    return parts


def _duration(text: str) -> timedelta:
    number, unit = text.split()
    return timedelta(**{unit: int(number)})


def _condition(field: Field) -> str:
    """A field's rule: its bounds, its form; null passes where the field is optional."""
    name = field.name.upper()
    low, high = (str(bound).replace("-", "- ") for bound in (field.low, field.high))
    loose_id = rf"^{ID.pattern}([.]0+)?\z"  # 7129300520.0 is a number for an id
    rule = {
        "id": f"REGEXP_EXTRACT ( '{loose_id}' , ID ) IS NOT NULL",
        "event_id": "LEN ( EVENT_ID ) BETWEEN 1 AND 128",
    }.get(field.name, f"{name} BETWEEN {low} AND {high}")
    if field.column == "TIMESTAMP":
        first, last = (_millis(day).replace("-", "- ") for day in READABLE)
        rule = f"UNIX_TIMESTAMP ( {TIME.format(name)} ) BETWEEN {first} AND {last}"
    return rule if field.required else f"( {name} IS NULL OR {rule} )"


def _millis(day: str) -> str:
    return f"{datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000:.0f}"


def _event_time_rule() -> str:
    minutes = _duration(schema.MAX_AHEAD) // timedelta(minutes=1)
    return f"{EVENT_AT} BETWEEN {_millis(schema.EARLIEST)} AND ROWTIME + {minutes} * 60 * 1000"


def _query(name: str, select: dict[str, str], **parts: Any) -> dict[str, Any]:
    default = {"window": None, "where": [], "group_by": "", "emit": "CHANGES"}
    return {f"{name} {part}": value for part, value in {"select": list(select.items()), **default, **parts}.items()}


def _streams() -> dict[str, Any]:
    base, by_decade = "HOUSE_SALES", "HOUSE_SALES_BY_DECADE"
    topic = {"KAFKA_TOPIC": by_decade, "PARTITIONS": "1", "TIMESTAMP": "EVENT_AT"}
    select = {name: name for name in ("SALE_KEY", "ID")} | {"DECADE": "( YR_BUILT / 10 ) * 10", "PRICE": "PRICE"}
    return {
        f"{base} mirrors": ["transforms.parse_sales"],
        f"{base} columns": {"SALE_KEY": "VARCHAR KEY"} | {f.name.upper(): TYPES[f.column] for f in schema.FIELDS},
        f"{base} properties": FORMAT | {"KAFKA_TOPIC": schema.SALES.name},
        f"{by_decade} mirrors": ["transforms.valid_sales", "transforms.with_decade"],
        f"{by_decade} columns": {},
        f"{by_decade} properties": FORMAT | topic,
        **_query(
            by_decade,
            select | {"EVENT_AT": EVENT_AT},
            source=base,
            where=[*map(_condition, schema.FIELDS), _event_time_rule()],
        ),
    }


def _table(name: str, mirrors: list[str], window: Window) -> dict[str, Any]:
    row = {
        "window_start": datetime.now(UTC),
        "window_end": datetime.now(UTC),
        "decade": 1990,
        "avg_price": 1,
        "sales": 1,
    }
    published = json.loads(window_updates.update_message(row)[1])
    topic = {"KAFKA_TOPIC": f"{name}_KSQL", "PARTITIONS": str(schema.AVERAGE_UPDATES.partitions)}
    select = {"DECADE": "DECADE"} | {field: MESSAGE[field] for field in published}
    return {
        f"{name} mirrors": mirrors,
        f"{name} columns": {},
        f"{name} properties": FORMAT | topic,
        **_query(name, select, source="HOUSE_SALES_BY_DECADE", window=window, group_by="DECADE"),
    }


def _expected() -> dict[str, Any]:
    """What the script has to say, from schema.py and the messages that Spark publishes."""
    name, size, grace = schema.AVERAGE_UPDATES.name, _duration(schema.WINDOW), _duration(schema.LATENESS)
    week, average = timedelta(days=7), "transforms.average_price"
    setting = {"mirrors": [], "columns": {}, "properties": {"value": "earliest"}}
    return {
        **{f"auto.offset.reset {part}": value for part, value in setting.items()},
        **_streams(),
        **_table(name, [average, "window_updates.update_message"], Window("TUMBLING", size, None, week, grace)),
        **_table(f"{name}_HOPPING", [average], Window("HOPPING", size, timedelta(seconds=30), week, grace)),
    }


def _drift(script: str) -> set[str]:
    answers, expected = _said(script), _expected()
    return {part for part in answers.keys() | expected.keys() if answers.get(part, ...) != expected.get(part, ...)}


def test_the_script_says_what_the_schema_says() -> None:
    assert _said(SCRIPT) == _expected()


@pytest.mark.parametrize(
    ("old", "new", "about"),
    [
        ("'earliest'", "'latest'", "auto.offset.reset properties"),
        ("-- Mirrors transforms.parse_sales", "-- Reads sales", "HOUSE_SALES mirrors"),
        ("  BEDROOMS INTEGER,\n", "", "HOUSE_SALES columns"),
        ("  BEDROOMS INTEGER", "  BEDROOMS DOUBLE", "HOUSE_SALES columns"),
        ("  EVENT_ID VARCHAR\n", "  EVENT_ID VARCHAR,\n  AGENT VARCHAR\n", "HOUSE_SALES columns"),
        ("KAFKA_TOPIC = 'houses'", "KAFKA_TOPIC = 'sales'", "HOUSE_SALES properties"),
        ("TIMESTAMP = 'EVENT_AT'", "TIMESTAMP = 'SOLD_AT'", "HOUSE_SALES_BY_DECADE properties"),
        ("FROM HOUSE_SALES\n", "FROM SALES\n", "HOUSE_SALES_BY_DECADE source"),
        ("(YR_BUILT / 10) * 10", "(YR_BUILT / 5) * 5", "HOUSE_SALES_BY_DECADE select"),
        ("    ROWTIME\n  ) AS EVENT_AT", "    UNIX_TIMESTAMP()\n  ) AS EVENT_AT", "HOUSE_SALES_BY_DECADE select"),
        ("BETWEEN 946684800000", "BETWEEN 0", "HOUSE_SALES_BY_DECADE where"),
        ("ROWTIME + 5 * 60 * 1000", "ROWTIME + 6 * 60 * 1000", "HOUSE_SALES_BY_DECADE where"),
        ("100000000\n", "200000000\n", "HOUSE_SALES_BY_DECADE where"),
        ("  AND BEDROOMS BETWEEN 0 AND 100\n", "", "HOUSE_SALES_BY_DECADE where"),
        ("(GRADE IS NULL OR GRADE BETWEEN 1 AND 13)", "GRADE BETWEEN 1 AND 13", "HOUSE_SALES_BY_DECADE where"),
        ("-180", "180", "HOUSE_SALES_BY_DECADE where"),
        ("{1,64}", "{1,32}", "HOUSE_SALES_BY_DECADE where"),
        ("    SOLD_AT IS NULL\n", "    ID IS NULL\n", "HOUSE_SALES_BY_DECADE where"),
        ("'AVG_PRICE_PER_YEAR_KSQL'", "'AVG_PRICE_PER_YEAR'", "AVG_PRICE_PER_YEAR properties"),
        ("TUMBLING (SIZE 2 MINUTES", "TUMBLING (SIZE 1 MINUTE", "AVG_PRICE_PER_YEAR window"),
        ("ADVANCE BY 30 SECONDS", "ADVANCE BY 1 MINUTE", "AVG_PRICE_PER_YEAR_HOPPING window"),
    ],
)
def test_drift_in_one_place_is_noticed_there(old: str, new: str, about: str) -> None:
    assert SCRIPT.count(old) == 1
    assert _drift(SCRIPT.replace(old, new)) == {about}


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("GRACE PERIOD 30 SECONDS", "GRACE PERIOD 10 SECONDS", "window"),
        (", GRACE PERIOD 30 SECONDS", "", "window"),
        ("RETENTION 7 DAYS", "RETENTION 1 DAY", "window"),
        ("  AVG(PRICE) AS AVG_PRICE,\n", "", "select"),
        ("COUNT(*) AS NUM_HOUSES", "COUNT(*) AS SALES", "select"),
        ("GROUP BY DECADE\n", "GROUP BY ID\n", "group_by"),
        ("GROUP BY DECADE\nEMIT CHANGES", "GROUP BY DECADE\nEMIT FINAL", "emit"),
    ],
)
def test_drift_in_both_tables_is_noticed(old: str, new: str, part: str) -> None:
    assert SCRIPT.count(old) == 2
    assert _drift(SCRIPT.replace(old, new)) == {f"{table} {part}" for table in TABLES}


@pytest.mark.parametrize(
    ("name", "value", "about"),
    [
        ("WINDOW", "5 minutes", {f"{table} window" for table in TABLES}),
        ("LATENESS", "1 minutes", {f"{table} window" for table in TABLES}),
        ("MAX_AHEAD", "10 minutes", {"HOUSE_SALES_BY_DECADE where"}),
        ("EARLIEST", "1990-01-01", {"HOUSE_SALES_BY_DECADE where"}),
        ("FIELDS", schema.FIELDS[:-1], {"HOUSE_SALES columns", "HOUSE_SALES_BY_DECADE where"}),
    ],
)
def test_drift_of_the_schema_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any, about: set[str]
) -> None:
    monkeypatch.setattr(schema, name, value)
    assert _drift(SCRIPT) == about


def _mirrored() -> Iterator[str]:
    for part, names in _said(SCRIPT).items():
        if part.endswith(" mirrors"):
            yield from names


def test_every_mirrored_function_exists() -> None:
    for name in _mirrored():
        module, function = name.split(".")
        assert callable(getattr(importlib.import_module(f"jobs.houses.{module}"), function, None)), name


def test_spark_counts_decades_as_the_script_does() -> None:
    function = ast.parse(inspect.getsource(transforms.with_decade))
    constants = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant)]
    assert [number for number in constants if isinstance(number, int)] == [10, 10]


def test_the_example_queries_ask_for_columns_that_there_are() -> None:
    tables = {statement.name: statement.query for statement in parse(SCRIPT) if statement.kind == "TABLE"}
    examples = queries(SCRIPT)
    assert [query.emit for query in examples] == ["", "CHANGES", "CHANGES"]  # a pull query, then push queries
    for query in examples:
        table = tables[query.source]
        assert table and set(query.select) <= set(table.select)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (", RETENTION 7 DAYS, GRACE PERIOD 30 SECONDS", ", GRACE PERIOD 30 SECONDS, RETENTION 7 DAYS"),
        ("GROUP BY DECADE\nEMIT CHANGES", "EMIT CHANGES GROUP BY DECADE"),
        ("RETENTION 7 DAYS", "RETENTION 1 WEEK"),
        ("TUMBLING (SIZE 2 MINUTES", "TUMBLING (2 MINUTES"),
        ("COUNT(*) AS", "COUNT(* AS"),
        (";\n\n-- Mirrors", "\n\n-- Mirrors"),
    ],
)
def test_what_ksqldb_cannot_parse_is_refused(old: str, new: str) -> None:
    assert old in SCRIPT
    with pytest.raises(KsqlSyntaxError, match=r"^line \d"):
        parse(SCRIPT.replace(old, new))
