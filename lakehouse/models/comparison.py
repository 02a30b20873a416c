"""Two manifests side by side: a line per value, with the difference."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lakehouse.models.manifests import Manifest

_LEFT_OUT = ("version", "domain", "model", "headline", "forms", "checksums", "format")
Forms = Mapping[str, str]  # the formats of metrics, by name


class Line(NamedTuple):
    """A value of two versions; `difference` is the second minus the first, or the list items only one of them has."""

    name: str
    values: tuple[Any, Any]
    difference: Any
    shown: str


def compare(first: Manifest, second: Manifest, forms: Forms) -> list[Line]:
    """A line per value that either manifest has, in the order of the manifests.

    `forms` count for metrics whose format no manifest has.
    """
    one, other = flat(first.to_dict()), flat(second.to_dict())
    known = {**forms, **first.forms, **second.forms}
    return [_line(name, one.get(name), other.get(name), known) for name in {**one, **other}]


def flat(manifest: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The manifest's values by dotted name, without what names, formats or checks it."""
    values: dict[str, Any] = {}
    for name, value in manifest.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}.") if prefix or name not in _LEFT_OUT else {}
        elif prefix or name not in _LEFT_OUT:
            values[f"{prefix}{name}"] = value
    return values


def text(name: str, value: Any, forms: Forms) -> str:
    """A manifest's value for a reader: shares in percent, large numbers with commas, lists with their length."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return f"{len(value)}: {', '.join(str(part) for part in value)}" if value else "none"
    if isinstance(value, float) and _is_share(name, forms):
        return f"{value:.2%}"
    if _is_number(value):
        return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _is_share(name: str, forms: Forms) -> bool:
    return forms.get(name.rpartition(".")[2], "").endswith("%")


def _line(name: str, one: Any, other: Any, forms: Forms) -> Line:
    if one == other:
        return Line(name, (one, other), None, "")
    if _is_number(one) and _is_number(other):
        apart = other - one
        shown = f"{apart:+.2%}".replace("%", " points") if _is_share(name, forms) else _signed(apart)
        share = f" ({apart / abs(one):+.1%})" if one else ""
        return Line(name, (one, other), apart, shown + share)
    if isinstance(one, list) and isinstance(other, list):
        apart = {
            "gone": [part for part in one if part not in other],
            "new": [part for part in other if part not in one],
        }
        shown = "; ".join(f"{kind}: {', '.join(map(str, parts))}" for kind, parts in apart.items() if parts)
        return Line(name, (one, other), apart, shown or "other order")
    return Line(name, (one, other), "differs", "differs")


def _signed(value: float) -> str:
    return f"{value:+,}" if isinstance(value, int) else f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.4g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
