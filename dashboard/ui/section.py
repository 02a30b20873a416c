"""What a section of the navigation (a domain) declares of itself in the `__init__` of its folder of pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dash.development.base_component import Component

from lakehouse.models.live_error import Compared
from lakehouse.models.manifests import Manifest


@dataclass(frozen=True)
class Section:
    """A group of the navigation; `icon` is a file under assets/, without its suffix."""

    title: str
    order: int
    icon: str = "core/icons/page"


@dataclass(frozen=True)
class ModelDetails:
    """What a section shows of a model in its own words.

    - `newest_table`: the newest predictions that were compared with what happened
    - `why_empty`: why no prediction was compared yet, where the newest version says why; else empty
    """

    newest_table: Callable[[Sequence[Compared]], Component]
    why_empty: Callable[[Manifest], str]
