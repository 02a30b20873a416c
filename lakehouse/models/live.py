"""The live version in memory: loaded once, replaced after a switch."""

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from lakehouse.errors import UnavailableError
from lakehouse.models.registry import Registry

Loaded = TypeVar("Loaded")


class LiveModel(Generic[Loaded]):
    """What `load` makes of the live version; after a switch the next call loads the new one, within `seconds`."""

    def __init__(
        self,
        registry: Registry,
        load: Callable[[Registry, str], Loaded],
        seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = registry
        self._load = load
        self._seconds = seconds
        self._clock = clock
        self._looked_at = -math.inf
        self._stamp: tuple[int, ...] = ()
        self._loaded: Loaded | None = None

    def get(self) -> Loaded:
        """The live version. Raises UnavailableError when there is none, DataError when it is damaged."""
        now = self._clock()
        if self._loaded is None or now - self._looked_at >= self._seconds:
            stamp = self.registry.stamp()
            if self._loaded is None or stamp != self._stamp:
                self._loaded = self._load(self.registry, self._version())
                self._stamp = stamp
            self._looked_at = now
        return self._loaded

    def _version(self) -> str:
        version, model = self.registry.live(), self.registry.model
        if version is None:
            raise UnavailableError(
                f"There is no {model.name} model yet; training needs {model.needs}.",
                f"Train one: `./spark-submit.sh {model.train}`.",
            )
        return version
