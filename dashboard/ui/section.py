"""What a section of the navigation (a domain) declares of itself in the `__init__` of its folder of pages."""

from dataclasses import dataclass
from typing import Any, Protocol

from dash.development.base_component import Component

from dashboard.live.domain_view import DomainView


@dataclass(frozen=True)
class Section:
    """A group of the navigation; `icon` is a file under assets/, without its suffix."""

    title: str
    order: int
    icon: str = "core/icons/page"


class Models(Protocol):
    """What a section's module `models` has: its sentences, and its models as the tiles of the Models page show them."""

    ABOUT: str
    TREND: str
    LIVE_ERROR: str
    VERSIONS: str

    def kpis(self, view: DomainView) -> list[Component]:
        """The live version in numbers."""

    def trend(self, view: DomainView, scheme: str | None) -> tuple[Any, ...]:
        """Figure, table and state of the metrics over the versions."""

    def versions(self, view: DomainView) -> tuple[Any, ...]:
        """The versions, the switches between them, and the state of both."""

    def live_error(self, view: DomainView) -> tuple[Any, ...]:
        """The error per version on what happened since, the newest examples, and the state of both."""
