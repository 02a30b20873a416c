"""Sales as other programs send them: the values of tests/cases, and the reasons that senders read."""

import json
from typing import Any

import pytest

from jobs.houses import audit, transforms
from jobs.houses.schema import HISTORY
from tests.cases.forms import IDS, NO_IDS, forms
from tests.cases.sent import NOON, messages, verdicts
from tests.jobs.houses.sales import event

pytestmark = pytest.mark.spark


def test_cases_and_forms_end_as_sales_or_with_their_reason(spark: Any) -> None:
    """One batch, as a stream would have it: floats of pandas, ten plain fields, byte order marks, other forms."""
    floats, plain = messages("07-float-numbers/houses.jsonl"), messages("20-plain-producer/houses.jsonl")
    marked = [(None, b"\xef\xbb\xbf" + json.dumps(event()).encode())]
    strange = forms(event())
    given = [*floats, *plain, *marked, *((None, value) for value, _reason in strange)]
    found = verdicts(spark, transforms.parse_sales, HISTORY, audit, given)
    assert [sale["id"] for sale in found[:4]] == ["2490200450"] * 4
    assert [sale["price"] for sale in found[:4]] == [550_000] * 4
    assert found[3]["sold_at"] == NOON.replace(microsecond=250)
    sales, sent = found[4:14], [json.loads(value or b"") for _key, value in plain]
    assert [(sale["id"], float(sale["price"])) for sale in sales] == [(str(one["id"]), one["price"]) for one in sent]
    assert all(sale["event_at"] == sale["recorded_at"] for sale in sales)
    assert found[14]["id"] == "7129300520"
    assert found[15:] == [reason for _value, reason in strange]


@pytest.mark.parametrize("name", ["id", "event_id"])
def test_an_id_is_what_was_sent_or_none(spark: Any, name: str) -> None:
    template = json.dumps(event(**{name: "\u0001"}))
    given = [(None, template.replace('"\\u0001"', raw).encode()) for raw in (*NO_IDS, *IDS)]
    found = verdicts(spark, transforms.parse_sales, HISTORY, audit, given)
    wanted = [f"{name}: {seen}; a text or a whole number is wanted" for seen in NO_IDS.values()]
    assert found[: len(NO_IDS)] == wanted
    kept = {raw: one if isinstance(one, str) else one[name] for raw, one in zip(IDS, found[len(NO_IDS) :], strict=True)}
    unlike = dict.fromkeys(('"9.5E7"', '"[1.0]"'), "id: not 1 to 64 letters, digits, - or _") if name == "id" else {}
    assert kept == {**IDS, **unlike}


def test_texts_as_a_csv_reader_gives_them_are_the_same_sale(spark: Any) -> None:
    given = messages("10-csv-strings/houses.jsonl")
    first, *others = verdicts(spark, transforms.parse_sales, HISTORY, audit, given)
    moments = ("offset", "recorded_at", "event_at")
    same = [{name: value for name, value in sale.items() if name not in moments} for sale in (first, *others)]
    assert same == [same[0]] * len(given)
