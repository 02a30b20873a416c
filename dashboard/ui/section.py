"""What a section of the navigation (a domain) declares of itself in the `__init__` of its folder of pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dash.development.base_component import Component

from lakehouse.models.live_error import Compared
from lakehouse.models.manifests import Manifest


@dataclass(frozen=True)
class Section:
    """A group of the navigation; `icon` is a file under assets/, without its suffix."""

    title: str
    order: int
    icon: str = "core/icons/page"


class ModelDetails(Protocol):
    """What a section's module `models` may show of its models, in the section's own words."""

    def newest_table(self, newest: Sequence[Compared]) -> Component:
        """The newest predictions that were compared with what happened."""

    def why_empty(self, newest: Manifest) -> str:
        """Why no prediction was compared yet, where the newest version says why; else empty."""
