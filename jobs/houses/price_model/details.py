"""What the manifest of a price model says beyond what every manifest does."""

from dataclasses import dataclass, field
from typing import Any

from lakehouse.core import records
from lakehouse.errors import DataError
from lakehouse.models.manifests import Manifest


@dataclass(frozen=True)
class Interval:
    """The ends of the 80 % interval, as factors on the price."""

    low: float
    high: float


@dataclass(frozen=True)
class HouseCounts:
    """How many houses the version knows, and how many of them are for sale."""

    known: int = 0
    for_sale: int = 0


@dataclass(frozen=True)
class PriceDetails:
    """`imputed` counts, by fact, the sales without it; `live` is the live version and its metrics on the same sales."""

    interval: Interval
    delta_version: int | None = None
    live: dict[str, Any] | None = None
    features: list[str] = field(default_factory=list)
    imputed: dict[str, int] = field(default_factory=dict)
    houses: HouseCounts | None = None


def details_of(manifest: Manifest) -> PriceDetails:
    """The details of a version. Raises DataError when the manifest has none of a price model."""
    try:
        return records.from_dict(PriceDetails, manifest.details)
    except ValueError:
        raise DataError(
            f"The manifest of {manifest.version} is not that of a price model.", "Let another version go live."
        ) from None
