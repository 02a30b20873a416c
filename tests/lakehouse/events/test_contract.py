"""What an event's class says: its fields, and what is no contract."""

import pickle
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from lakehouse.events.contract import contract_of
from lakehouse.events.fields import Flag, Kind, Letters, Text, Whole

CODE = Letters("[A-Z]{3}", "3 capital letters")


class Flight(msgspec.Struct, rename={"delayed_by": "dep_delay"}):
    """An event."""

    origin: Annotated[Text, CODE, Meta(description="an airport")]
    delayed_by: Annotated[Whole, Meta(ge=-60, le=3000)] | None = None
    cancelled: Flag | None = None


def test_a_field_has_kind_bounds_and_the_name_it_is_sent_with() -> None:
    origin, delayed_by, cancelled = contract_of(Flight).fields.values()
    assert (origin.kind, origin.required, origin.letters, origin.about) == (Kind.TEXT, True, CODE, "an airport")
    assert (delayed_by.sent, delayed_by.required, delayed_by.low, delayed_by.high) == ("dep_delay", False, -60, 3000)
    assert (cancelled.low, cancelled.high) == (0, 1)
    assert contract_of(Flight).columns == {"origin": "STRING", "delayed_by": "INT", "cancelled": "INT"}


def test_a_worker_gets_the_contract_that_it_has() -> None:
    assert pickle.loads(pickle.dumps(contract_of(Flight))) is contract_of(Flight)


def test_a_field_without_a_kind_is_refused() -> None:
    class Odd(msgspec.Struct):
        size: int

    with pytest.raises(TypeError, match=r"Odd\.size has no kind"):
        contract_of(Odd)
