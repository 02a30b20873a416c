"""Addresses that pages serve besides themselves, and the check that no two parts of the dashboard want the same one.

A module of pages lists its own: `ROUTES = {"/flights/predict": Route(predict, ("POST",))}`; app.py adds them.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flask

from lakehouse.errors import LakeError

_REST = "<path:"  # of a rule that takes any number of further parts


@dataclass(frozen=True)
class Route:
    """What answers at an address: a function that is given the address' variables, and the methods it takes."""

    answer: Callable[..., Any]
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True)
class Claim:
    """An address, as Flask writes it (`/things/<id>`), and whose it is; the module where one declares it."""

    owner: str
    rule: str
    module: str = ""


def add(server: flask.Flask, routes: Mapping[str, Route]) -> None:
    """Serve the routes."""
    for rule, route in routes.items():
        server.add_url_rule(rule, f"route {rule}", route.answer, methods=list(route.methods))


def served(server: flask.Flask) -> set[tuple[str, str]]:
    """The addresses that are served, each with the name of what answers; without Dash's own for everything else."""
    return {(rule.rule, rule.endpoint) for rule in server.url_map.iter_rules() if rule.rule != "/<path:path>"}


def check(claims: Sequence[Claim]) -> None:
    """Raise LakeError when two owners want one address, one wants an address of another's, or two modules have one."""
    for number, claim in enumerate(claims):
        for other in claims[:number]:
            if _collide(claim, other):
                mine, theirs = _names(claim, other)
                raise LakeError(
                    f"{claim.rule} of {mine} and {other.rule} of {theirs} are the same address.",
                    f"Give {mine} another one: PATH, ALSO_AT, OLD_PATHS and ROUTES of its modules.",
                )


def _collide(claim: Claim, other: Claim) -> bool:
    one, two = _parts(claim.rule), _parts(other.rule)
    if other.owner != claim.owner:
        return _meet(one, two)
    between_modules = claim.module and other.module and claim.module != other.module
    return bool(between_modules) and _unnamed(one) == _unnamed(two)  # /a/<id> beside /a/b is no mistake


def _names(claim: Claim, other: Claim) -> tuple[str, str]:
    """The two as a message names them: owners, or modules of one owner."""
    if claim.owner != other.owner:
        return claim.owner, other.owner
    return claim.module, other.module


def _unnamed(parts: Sequence[str]) -> list[str]:
    """The parts of a rule without the names of its variables: <int:id> as <int:>."""
    return [re.sub(r"<(?:(\w[^:<>]*:))?[^<>]*>", r"<\1>", part) for part in parts]


def _parts(rule: str) -> list[str]:
    return rule.strip("/").split("/")


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether an address can be meant by both rules."""
    if not one or not other:
        return not one and not other
    if one[0].startswith(_REST) or other[0].startswith(_REST):
        return True
    same = one[0] == other[0] or one[0].startswith("<") or other[0].startswith("<")
    return same and _meet(one[1:], other[1:])


def prefix(owner: str, section: str) -> Iterator[Claim]:
    """The addresses that are a section's without being named: all under its name."""
    yield Claim(owner, f"/{section}")
    yield Claim(owner, f"/{section}/<path:rest>")
