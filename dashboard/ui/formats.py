"""How numbers, times and sentences are written on a page."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from dash import html

NOTHING = "–"


def count(value: float | None) -> str:
    """12,345"""
    return NOTHING if value is None else f"{value:,.0f}"


def plural(value: float, noun: str) -> str:
    """1 sale, 2 sales"""
    return f"{value:,.0f} {noun}" if value == 1 else f"{value:,.0f} {noun}s"


def decimal(value: float | None) -> str:
    """12.3"""
    return NOTHING if value is None else f"{value:,.1f}"


def money(value: float | None) -> str:
    """$540,088"""
    if value is None:
        return NOTHING
    return f"-${-value:,.0f}" if value < 0 else f"${value:,.0f}"


def signed_money(value: float) -> str:
    """+$12,300, -$4,200"""
    return money(value) if value < 0 else f"+{money(value)}"


def percent(value: float | None) -> str:
    """12.3 % of a fraction"""
    return NOTHING if value is None else f"{value * 100:.1f} %"


def signed_percent(value: float) -> str:
    """+3.2 % of a fraction"""
    return f"{value * 100:+.1f} %"


def signed_short_money(value: float) -> str:
    """+$12.3k, -$450"""
    size = f"{abs(value) / 1e3:.1f}k" if abs(value) < 99_950 else short_money(abs(value)).removeprefix("$")
    return f"{'-' if value < 0 else '+'}${size if abs(value) >= 999.5 else f'{abs(value):.0f}'}"


def short_money(value: float) -> str:
    """$540k, $1.2M"""
    return f"${value / 1e6:.2f}M" if abs(value) >= 999_500 else f"${value / 1e3:.0f}k"


def seconds(value: float | None) -> str:
    """0.45 s"""
    return NOTHING if value is None else f"{value:.2f} s"


def clock(moment: datetime) -> str:
    """12:03:21 in UTC, with the date when it is not today."""
    at = moment.astimezone(UTC)
    form = "%H:%M:%S" if at.date() == datetime.now(UTC).date() else "%Y-%m-%d %H:%M:%S"
    return f"{at:{form}}"


def minute(moment: datetime) -> str:
    """2026-05-01 12:03 in UTC"""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def bounds(start: datetime, end: datetime) -> str:
    """12:02–12:04 UTC, with the date when it is not today."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    form = "%H:%M" if first.date() == datetime.now(UTC).date() else "%Y-%m-%d %H:%M"
    return f"{first:{form}}–{last:%H:%M} UTC"


def not_known(asked: Sequence[str]) -> str:
    """What of an address cannot be used, as in ["decade=abc"]; nothing when all can."""
    parts = ", ".join(part[:40] for part in asked)
    return f"The address asks for {parts}, which is not known; the usual is shown." if asked else ""


def with_code(sentence: str) -> list[str | html.Code]:
    """A sentence in which `backticks` are set as code."""
    parts = re.split(r"`([^`]*)`", sentence)
    return [html.Code(part) if number % 2 else part for number, part in enumerate(parts) if part]
