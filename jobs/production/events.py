"""What an event of the line is: JSON on the topic `production`; the record's key says if it is a pass or a defect."""

from typing import Annotated

import msgspec
from msgspec import Meta

from jobs.production.plant import NAME
from lakehouse.events.contract import contract_of
from lakehouse.events.fields import Text, Time

TIME = "unit_collection_pt_timestamp"


class LineEvent(
    msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, rename={"unit_id": "qls_unit_id", "event_at": TIME}
):
    """A unit at a collection point, or a defect found there. A defect has a concern and the zone it is charged to."""

    unit_id: Annotated[Text, NAME, Meta(description="the unit's serial number")]
    collection_point_id: Annotated[Text, NAME]
    zone_id: Annotated[Text, Meta(description="a defect without it is of its collection point's zone")] | None = None
    concern_id: Annotated[Text, Meta(description="what is wrong")] | None = None
    zone_charged_id: Annotated[Text, Meta(description="the zone that caused it")] | None = None
    event_at: Annotated[Time, Meta(description="when the unit was at the collection point")]


LINE_EVENT = contract_of(LineEvent)
