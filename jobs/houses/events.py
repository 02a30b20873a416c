"""What a house sale is: one JSON message on the topic `houses`, keyed by the house's id."""

from typing import Annotated

import msgspec
from msgspec import Meta

from lakehouse.events.contract import contract_of
from lakehouse.events.fields import Flag, Letters, Money, Real, Text, Time, TimeOrDay, Whole

ID = Letters(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, - or _")
EVENT_ID = Letters(r"[\s\S]{1,128}", "1 to 128 characters")
Area = Annotated[Whole, Meta(ge=0, le=1_000_000)]
Plot = Annotated[Whole, Meta(ge=0, le=1_000_000_000)]


class Sale(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A house sale. Bounds are inclusive; what may be missing has a default."""

    id: Annotated[Text, ID, Meta(description="the house; 0071 and 71 are one house")]
    price: Annotated[Money, Meta(ge=0.01, le=100_000_000, description="US dollars")]
    bedrooms: Annotated[Whole, Meta(ge=0, le=100)]
    bathrooms: Annotated[Real, Meta(ge=0, le=100, description="0.5 is a room with a toilet but no shower")]
    sqft_living: Annotated[Whole, Meta(ge=1, le=1_000_000, description="living area in square feet")]
    sqft_lot: Annotated[Plot, Meta(description="area of the lot in square feet")]
    floors: Annotated[Real, Meta(ge=0, le=200)]
    waterfront: Flag
    view: Annotated[Whole, Meta(ge=0, le=4, description="how good the view is")]
    yr_built: Annotated[Whole, Meta(ge=1800, le=2100)]
    condition: Annotated[Whole, Meta(ge=1, le=5)] | None = None
    grade: Annotated[Whole, Meta(ge=1, le=13, description="quality of construction and design")] | None = None
    sqft_above: Annotated[Area, Meta(description="living area above ground")] | None = None
    sqft_basement: Area | None = None
    yr_renovated: Annotated[Whole, Meta(ge=0, le=2100, description="0: never")] | None = None
    zipcode: Annotated[Whole, Meta(ge=0, le=99999)] | None = None
    lat: Annotated[Real, Meta(ge=-90, le=90, description="degrees north")] | None = None
    long: Annotated[Real, Meta(ge=-180, le=180, description="degrees east")] | None = None
    sqft_living15: Annotated[Area, Meta(description="mean living area of the 15 nearest houses")] | None = None
    sqft_lot15: Annotated[Plot, Meta(description="mean lot of the 15 nearest houses")] | None = None
    listed_at: TimeOrDay | None = None
    sold_at: Annotated[Time, Meta(description="the event time; without it, the record's timestamp")] | None = None
    event_id: Annotated[Text, EVENT_ID, Meta(description="equal for a sale that is sent again")] | None = None


SALE = contract_of(Sale)
