"""A contract as a JSON Schema: our producers' messages keep to it, and what breaks a rule breaks the schema."""

import itertools
import json
from typing import Any

import jsonschema
import pytest

from jobs.houses.events import SALE
from jobs.production import produce
from jobs.production.events import LINE_EVENT
from lakehouse.contract import discovery
from lakehouse.core.stop_signal import StopSignal
from lakehouse.errors import UsageError
from lakehouse.events import json_schema
from tests.jobs.houses.sales import event, plain


def validator(contract: Any) -> jsonschema.Draft202012Validator:
    schema = json_schema.json_schema(contract)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("sale", [event(), plain(), event(unknown=1)])
def test_sales_keep_to_their_schema(sale: dict[str, Any]) -> None:
    validator(SALE).validate(sale)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a b"},
        {"id": 71.5},
        {"price": 0},
        {"bedrooms": 3.5},
        {"yr_built": 3000},
        {"sold_at": 5},
        {"event_id": ""},
    ],
)
def test_what_breaks_a_rule_breaks_the_schema(changes: dict[str, Any]) -> None:
    assert not validator(SALE).is_valid(event(**changes))
    assert not validator(SALE).is_valid({name: value for name, value in event().items() if name != "price"})


def test_the_lines_messages_keep_to_their_schema() -> None:
    of = produce.plant()
    line = produce.Line(of, "127.0.0.1:1", 0, StopSignal(), 0, False, 1)
    dice = produce.random.Random(1)
    events = produce.stamped(produce.travel(of, 3, 50, 0.3, dice), dice, produce.now)
    for number, one in enumerate(itertools.islice(events, 500)):
        validator(LINE_EVENT).validate(json.loads(line.message(one, number).value or b""))


def test_an_unknown_event_is_named() -> None:
    with pytest.raises(UsageError, match=r"houses has no event Flight\. It has Sale"):
        json_schema.text(discovery.load("houses"), "Flight")
