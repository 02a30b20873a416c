"""The names of the LAKE_… variables. An unknown one is an error: ignoring it would silently use the default."""

from collections.abc import Iterable
from difflib import get_close_matches

from lakehouse.errors import UsageError
from lakehouse.settings import Settings

PREFIX = "LAKE_"
# Variables that are not settings: for one run, for tests, for compose, for a domain's file.
OTHERS = ("DEBUG", "LOG_FORMAT", "PYTHON", "MAKE_ARCHIVE", "FAULT", "POSTGRES_PASSWORD", "DOMAIN_CONF")
TESTS = f"{PREFIX}REQUIRE_"


def known_names() -> list[str]:
    """The names of all our variables."""
    return sorted(f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, *OTHERS))


def check_names(given: Iterable[str]) -> None:
    """Raises UsageError for an unknown variable with our prefix, such as a mistyped setting."""
    names = known_names()
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in names and not name.startswith(TESTS):
            near = get_close_matches(name, names, 1, 0.75)
            fix = f"Did you mean {near[0]}?" if near else f"Unset it; settings: {', '.join(names)}."
            raise UsageError(f"There is no setting {name}, which the environment has.", fix)
