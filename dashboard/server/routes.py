"""Addresses that pages serve besides themselves, and the check that no two parts of the dashboard want the same one.

A module of pages lists its own: `ROUTES = {"/flights/predict": Route(predict, ("POST",))}`; app.py adds them.
"""

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
    """An address, as Flask writes it (`/things/<id>`), and whose it is."""

    owner: str
    rule: str


def add(server: flask.Flask, routes: Mapping[str, Route]) -> None:
    """Serve the routes."""
    for rule, route in routes.items():
        server.add_url_rule(rule, f"route {rule}", route.answer, methods=list(route.methods))


def served(server: flask.Flask) -> set[tuple[str, str]]:
    """The addresses that are served, each with the name of what answers; without Dash's own for everything else."""
    return {(rule.rule, rule.endpoint) for rule in server.url_map.iter_rules() if rule.rule != "/<path:path>"}


def check(claims: Sequence[Claim]) -> None:
    """Raise LakeError when two owners want one address, or one wants an address of another's."""
    for number, claim in enumerate(claims):
        for other in claims[:number]:
            if other.owner != claim.owner and _meet(_parts(other.rule), _parts(claim.rule)):
                raise LakeError(
                    f"{claim.rule} of {claim.owner} and {other.rule} of {other.owner} are the same address.",
                    f"Give {claim.owner} another one: PATH, ALSO_AT, OLD_PATHS and ROUTES of its modules.",
                )


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
