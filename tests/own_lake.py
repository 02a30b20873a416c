"""A lake of its own for the fixtures of a module, which cannot use `lake`, the fixture for one test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lakehouse.settings import settings


@contextmanager
def own_lake(var: Path, **variables: str) -> Iterator[None]:
    """Until the end of the block, the settings are those of the lake in `var`, with these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LAKE_VAR": str(var), **variables}.items():
            patch.setenv(name, value)
        settings.cache_clear()
        try:
            yield
        finally:
            settings.cache_clear()
