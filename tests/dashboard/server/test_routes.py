"""Addresses of pages: which two are the same, and that the refusal names both."""

import pytest

from dashboard.server import routes
from dashboard.server.routes import Claim
from lakehouse.errors import LakeError


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a/b", "/a/b", True),
        ("/a/b", "/a/c", False),
        ("/a/<id>", "/a/b", True),
        ("/<kind>/b", "/a/<id>", True),
        ("/a/<id>", "/a/b/c", False),
        ("/a", "/a/<id>", False),
        ("/a/<path:rest>", "/a/b/c", True),
        ("/a/<path:rest>", "/b/c", False),
        ("/a/<path:rest>", "/a", False),
        ("/", "/a", False),
        ("/", "/", True),
    ],
)
def test_two_addresses_are_the_same_where_a_request_can_mean_both(one: str, other: str, same: bool) -> None:
    for first, second in ((one, other), (other, one)):
        claims = [Claim("the pages of x", first), Claim("the pages of y", second)]
        if not same:
            routes.check(claims)
            continue
        with pytest.raises(LakeError) as refused:
            routes.check(claims)
        assert f"{second} of the pages of y and {first} of the pages of x are the same address" in str(refused.value)


def test_an_owner_may_have_an_address_twice() -> None:
    routes.check([Claim("the pages of x", "/a/<id>"), Claim("the pages of x", "/a/b")])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a/b", "/a/b", True),
        ("/a/<id>", "/a/<name>", True),
        ("/a/<int:id>", "/a/<int:name>", True),
        ("/a/<int:id>", "/a/<id>", False),
        ("/a/<id>", "/a/b", False),
    ],
)
def test_two_modules_of_one_owner_may_not_have_one_address(one: str, other: str, same: bool) -> None:
    claims = [
        Claim("the pages of x", "/a/b"),
        Claim("the pages of x", one, "x.page"),
        Claim("the pages of x", one, "x.page"),
    ]
    routes.check(claims)  # a section's name and its page, a route as it is declared and as it is served
    claims.append(Claim("the pages of x", other, "x.more"))
    if not same:
        routes.check(claims)
        return
    with pytest.raises(LakeError) as refused:
        routes.check(claims)
    assert f"{other} of x.more and {one} of x.page are the same address." in str(refused.value)


def test_an_address_under_anothers_name_is_that_ones() -> None:
    claims = [*routes.prefix("the pages of x", "x"), Claim("the pages of y", "/x/of/y")]
    with pytest.raises(LakeError, match="/x/of/y of the pages of y and /x/<path:rest> of the pages of x"):
        routes.check(claims)
