"""What a sale is, as tests hold the pipeline to it: by the rules of `lake audit`, which share no code with it."""

from dataclasses import dataclass

from jobs.houses import audit_rules

KNOWN = ("id", *audit_rules.NUMBERS, *audit_rules.TIMES, "event_id")


@dataclass(frozen=True)
class Sale:
    """What the tests compare: event_at in microseconds since 1970."""

    id: str
    cents: int
    yr_built: int
    event_at: int
    event_id: str | None

    @property
    def window_and_decade(self) -> tuple[int, int]:
        """Start of the two-minute window in microseconds, and the decade built."""
        return self.event_at // 120_000_000 * 120_000_000, self.yr_built // 10 * 10


def decode(value: bytes | None, recorded_at_ms: int) -> Sale | None:
    """The sale in a record's value; None when it is none."""
    try:
        sale = audit_rules.sale(value, recorded_at_ms * 1000)
    except audit_rules.NoSale:
        return None
    return Sale(sale["id"], int(sale["price"] * 100), sale["yr_built"], sale["event_at"], sale["event_id"])


def averages(sales: list[Sale]) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Average, number and sum in cents by (window start in microseconds, decade)."""
    sums: dict[tuple[int, int], list[int]] = {}
    for sale in sales:
        cell = sums.setdefault(sale.window_and_decade, [0, 0])
        cell[0] += sale.cents
        cell[1] += 1
    return {key: (cents / (100 * count), count, cents) for key, (cents, count) in sums.items()}
