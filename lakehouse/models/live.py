"""The live version in memory: loaded once, replaced after a switch."""

from collections.abc import Callable
from typing import Generic, TypeVar

from lakehouse.errors import UnavailableError
from lakehouse.models.registry import Registry

Loaded = TypeVar("Loaded")


class LiveModel(Generic[Loaded]):
    """What `load` makes of the live version; after a switch the next call loads the new one.

    Every call looks at the registry (one `stat`, about two microseconds): a page that has seen a switch and asks once
    must not get the version before.
    """

    def __init__(self, registry: Registry, load: Callable[[Registry, str], Loaded]) -> None:
        self.registry = registry
        self._load = load
        self._stamp: tuple[int, ...] = ()
        self._loaded: Loaded | None = None

    def get(self) -> Loaded:
        """The live version. Raises UnavailableError when there is none, DataError when it is damaged."""
        stamp, loaded = self.registry.stamp(), self._loaded
        if loaded is None or stamp != self._stamp:
            loaded = self._load(self.registry, self._version())
            self._loaded, self._stamp = loaded, stamp
        return loaded

    def _version(self) -> str:
        version, model = self.registry.live(), self.registry.model
        if version is None:
            raise UnavailableError(
                f"There is no {model.name} model yet; training needs {model.needs}.",
                f"Train one: `./spark-submit.sh {model.train}`.",
            )
        return version
