"""Sales as other programs send them: the values of tests/cases, and the reasons that senders read."""

import json
from typing import Any

import pytest

from jobs.houses import audit, transforms
from tests.cases.forms import IDS, NO_IDS, forms
from tests.cases.sent import messages, verdicts
from tests.jobs.houses.sales import event

pytestmark = pytest.mark.spark
RULES = (transforms.parse_sales, transforms.valid_sales, transforms.dead_letters)
FRACTION = "a number with a fraction or an exponent; a text or a whole number is wanted"


def test_cases_and_forms_end_as_sales_or_with_their_reason(spark: Any) -> None:
    """One batch, as a stream would have it: floats of pandas, ten plain fields, byte order marks, other forms."""
    floats, plain = messages("07-float-numbers/houses.jsonl"), messages("20-plain-producer/houses.jsonl")
    marked = [(None, b"\xef\xbb\xbf" + json.dumps(event()).encode())]
    strange = forms(event())
    given = [*floats, *plain, *marked, *((None, value) for value, _reason in strange)]
    found = verdicts(spark, RULES, audit, given)
    assert found[0]["id"] == "2490200450"
    assert found[1:3] == [f"id: {FRACTION}"] * 2
    assert found[3] == "sold_at: a number with a fraction, not a time (ISO 8601 or epoch milliseconds)"
    sales, sent = found[4:14], [json.loads(value or b"") for _key, value in plain]
    assert [(sale["id"], float(sale["price"])) for sale in sales] == [(str(one["id"]), one["price"]) for one in sent]
    assert all(sale["event_at"] == sale["recorded_at"] for sale in sales)
    assert found[14]["id"] == "7129300520"
    assert found[15:] == [reason for _value, reason in strange]


@pytest.mark.parametrize("name", ["id", "event_id"])
def test_an_id_is_what_was_sent_or_none(spark: Any, name: str) -> None:
    template = json.dumps(event(**{name: "\u0001"}))
    given = [(None, template.replace('"\\u0001"', raw).encode()) for raw in (*NO_IDS, *IDS)]
    found = verdicts(spark, RULES, audit, given)
    nested = "an array or an object; a text or a whole number is wanted"
    assert found[: len(NO_IDS)] == [f"{name}: {nested if raw[0] in '[{' else FRACTION}" for raw in NO_IDS]
    kept = dict(zip(IDS, (one if isinstance(one, str) else one[name] for one in found[len(NO_IDS) :]), strict=True))
    unlike = "id: not 1 to 64 letters, digits, - or _"
    texts = {raw: json.loads(raw) for raw in IDS if raw[0] == '"'}
    if name == "id":
        texts |= {'"71.0"': "71", '"9.5E7"': unlike, '"[1.0]"': unlike}
    assert kept == {
        "71": "71",
        "0": "0",
        "-0": "0",
        "12345678901234567890": "12345678901234567890",
        "true": "true",
        **texts,
    }
