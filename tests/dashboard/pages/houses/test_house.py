"""A house's own page as pure functions: newest sale first, resends marked, the nearest sales by distance."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from dashboard.pages.houses import house_view
from jobs.houses.price_model import answers
from jobs.houses.price_model.house_columns import FACTS, Houses

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)


def sales(*rows: dict[str, Any]) -> pd.DataFrame:
    usual: dict[str, Any] = dict.fromkeys(house_view.HOUSE_FACTS) | {"listed_at": None, "event_id": None}
    usual |= {"price": Decimal("100.00"), "source": "stream", "partition": 0, "offset": 1}
    frame = pd.DataFrame([usual | row for row in rows])
    return frame.assign(event_at=pd.to_datetime(frame["event_at"], utc=True))


def test_the_newest_sale_is_first_and_only_the_later_copy_is_a_resend() -> None:
    first, again = {"event_at": AT, "event_id": "a", "offset": 1}, {"event_at": AT, "event_id": "a", "offset": 2}
    newer = {"event_at": AT.replace(hour=13), "event_id": "b", "price": Decimal("110.00"), "offset": 3}
    shown = str(house_view.sales_table(sales(first, newer, again), 121.0).to_plotly_json())
    assert shown.index("$110") < shown.index("$100")
    assert shown.count("stream, resent") == 1
    assert shown.index("offset 2") > 0
    assert "+10.0 %" in shown


def test_facts_come_from_the_newest_sale() -> None:
    found = house_view.facts(sales({"event_at": AT, "grade": 7}, {"event_at": AT.replace(hour=13), "grade": 8}), None)
    assert (found["grade"], found["lat"]) == (8.0, None)


def test_the_nearest_sales_leave_out_the_house_itself_and_those_not_sold() -> None:
    ids = np.array(["a", "b", "c", "d"])
    facts = {name: np.full(4, np.nan) for name in FACTS}
    facts |= {"lat": np.array([47.5, 47.51, 47.52, 47.501]), "long": np.full(4, -122.0)}
    houses = Houses(ids, facts, np.array([1.0, 2.0, 3.0, np.nan]))
    found = answers.nearest(houses, "a", 47.5, -122.0)
    assert [(near.id, round(near.km, 2)) for near in found] == [("b", 1.11), ("c", 2.22)]
    assert answers.nearest(houses, "a", None, -122.0) == []
