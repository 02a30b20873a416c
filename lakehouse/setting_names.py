"""Which LAKE_… variables there are. One that we do not know would be passed over, and the default be used instead."""

from collections.abc import Iterable
from difflib import get_close_matches

from lakehouse.errors import UsageError
from lakehouse.settings import Settings

PREFIX = "LAKE_"
# What is no setting: for one run, for tests, for compose, for a domain's own file.
OTHERS = ("DEBUG", "LOG_FORMAT", "PYTHON", "MAKE_ARCHIVE", "FAULT", "POSTGRES_PASSWORD", "DOMAIN_CONF")
TESTS = f"{PREFIX}REQUIRE_"


def known_names() -> list[str]:
    """The names of all variables that mean something to us."""
    return sorted(f"{PREFIX}{name.upper()}" for name in (*Settings.model_fields, *OTHERS))


def check_names(given: Iterable[str]) -> None:
    """Raises UsageError for a variable with our prefix that means nothing: a mistyped setting is not passed over."""
    names = known_names()
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in names and not name.startswith(TESTS):
            near = get_close_matches(name, names, 1, 0.75)
            fix = f"Did you mean {near[0]}?" if near else f"Unset it; settings: {', '.join(names)}."
            raise UsageError(f"There is no setting {name}, which the environment has.", fix)
