"""How long to wait before what failed is started again, and when to leave it alone."""

MAX_FAILURES = 5  # in a row; then it is left alone
STABLE_SECONDS = 60.0  # what has run that long has not failed in a row
LONGEST = 30.0


def wait_after(failures: int) -> float:
    """Seconds to wait after that many failures in a row: 1, 2, 4, 8, … at most 30."""
    return min(LONGEST, 2.0 ** min(failures - 1, 10))  # a night of failures is more than a float can hold
