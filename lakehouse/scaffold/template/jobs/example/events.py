"""What an event is: one JSON message on the topic `example`, keyed by id. More: docs/events.md."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lakehouse.events.contract import contract_of
from lakehouse.events.fields import Letters, Text, Time, Whole

ID = Letters(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, - or _")


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """So many of one thing. Bounds are inclusive; what may be missing has a default."""

    event_id: Annotated[Text, ID, Meta(description="equal for an event that is sent again")] | None = None
    id: Annotated[Text, ID, Meta(description="the thing")]
    quantity: Annotated[Whole, Meta(ge=-1_000_000, le=1_000_000, description="how many")]
    happened_at: Annotated[Time, Meta(description="the event time; without it, the record's timestamp")] | None = None


EVENT = contract_of(Event)
