"""Prices without Spark: what an answer adds up to, unknown ids, gaps in the facts, switches, damaged versions."""

import math
from pathlib import Path

import numpy as np
import pytest

from jobs.houses.price_model import comparables, export, house_columns
from jobs.houses.price_model.pricer import Pricer
from jobs.houses.price_model.published import UnknownHouseError
from jobs.houses.schema import PRICE_MODEL
from lakehouse.errors import DataError, UnavailableError, UsageError
from lakehouse.models.registry import Registry
from tests.jobs.houses.price_model import fitting


@pytest.fixture
def registry(lake: Path) -> Registry:
    """A registry with one live version."""
    found = Registry(PRICE_MODEL)
    fitting.publish(found)
    return found


def test_contributions_and_baseline_add_up_to_the_price(registry: Registry) -> None:
    pricer = Pricer(registry)
    for house in pricer.known().houses.ids[::100]:
        answer = pricer.price(str(house))
        total = answer.baseline + sum(part.dollars for part in answer.contributions)
        assert math.isclose(total, answer.price, rel_tol=1e-9)
        assert answer.low < answer.price < answer.high
        assert answer.version == "v0001"


def test_a_price_is_near_what_the_house_was_sold_for(registry: Registry) -> None:
    known = Pricer(registry).known().sold
    prices = Pricer(registry).price_many(known.ids.tolist())
    errors = [abs(prices[house] / price - 1) for house, price in zip(known.ids.tolist(), known.prices, strict=True)]
    assert np.mean(errors) < 0.15


def test_comparable_sales_were_listed_before_the_house_and_are_not_itself(registry: Registry) -> None:
    pricer = Pricer(registry)
    known = pricer.known().houses
    basis = pricer.model().fit.basis
    facts = house_columns.fill(known.facts, basis)
    near = comparables.neighbours(known.ids, facts, basis)
    counted = near.weights > 0
    assert counted.any()
    earlier = basis.sold.facts["listed_day"][near.rows] < facts["listed_day"][:, None]
    other = basis.sold.ids[near.rows] != known.ids[:, None]
    assert (earlier & other)[counted].all()


def test_neighbours_are_the_nearest_of_all(registry: Registry) -> None:
    """The band that saves measuring every distance leaves nobody out."""
    pricer = Pricer(registry)
    basis, known = pricer.model().fit.basis, pricer.known().houses.take(slice(0, 200))
    facts = house_columns.fill(known.facts, basis)
    near = comparables.neighbours(known.ids, facts, basis)
    for row in range(len(known)):
        km = np.hypot(
            *[
                (basis.sold.facts[name] - facts[name][row]) * scale
                for name, scale in zip(("lat", "long"), basis.km, strict=True)
            ]
        )
        allowed = (basis.sold.facts["listed_day"] < facts["listed_day"][row]) & (basis.sold.ids != known.ids[row])
        nearest = np.sort(km[allowed])[: comparables.NEIGHBOURS]
        assert np.allclose(np.sort(near.km[row])[: len(nearest)], nearest, atol=1e-5)


def test_the_answer_for_one_is_the_answer_in_a_crowd(registry: Registry) -> None:
    pricer = Pricer(registry)
    ids = [str(house) for house in pricer.known().houses.ids[:100]]
    together = pricer.price_many(ids)
    assert all(math.isclose(pricer.price(house).price, together[house], rel_tol=1e-12) for house in ids)


def test_a_change_moves_the_price_and_is_shown(registry: Registry) -> None:
    pricer = Pricer(registry)
    house = str(pricer.known().houses.ids[5])
    changed = pricer.price(house, {"grade": 12.0})
    assert changed.price > pricer.price(house).price
    assert changed.changed == {"grade": 12.0}
    with pytest.raises(UsageError, match="colour"):
        pricer.price(house, {"colour": 1.0})
    with pytest.raises(UsageError, match="grade must be a number from 1 to 13; got nan"):
        pricer.price(house, {"grade": math.nan})


@pytest.mark.parametrize("text", ["", "0", "🙂", "7129300520\x00", "../../etc/passwd", "9" * 1000, "a b", "*"])
def test_any_text_may_be_asked_for(registry: Registry, text: str) -> None:
    with pytest.raises(UnknownHouseError) as caught:
        Pricer(registry).price(text)
    assert len(caught.value.nearest) <= 3


def test_an_unknown_house_is_answered_with_ids_like_it(registry: Registry) -> None:
    pricer = Pricer(registry)
    house = str(pricer.known().houses.ids[7])
    typo = house[:-1] + str((int(house[-1]) + 1) % 10)
    with pytest.raises(UnknownHouseError) as caught:
        pricer.price(typo)
    assert house in caught.value.nearest
    assert caught.value.exit_code == 1


def test_missing_facts_are_filled_and_listed(registry: Registry) -> None:
    houses = fitting.real_houses()
    facts = {name: column.copy() for name, column in houses.facts.items()}
    for name in ("grade", "lat", "long", "sqft_above", "listed_day"):
        facts[name][3] = np.nan
    facts["zipcode"][4] = np.nan
    fitting.publish(registry, house_columns.Houses(houses.ids, facts, houses.prices))
    pricer = Pricer(registry)
    whole, gaps = (pricer.price(str(houses.ids[at])) for at in (2, 3))
    assert whole.imputed == []
    assert gaps.imputed == ["grade", "sqft_above", "lat", "long", "listed_day"]
    assert 0.3 < gaps.price / float(houses.prices[3]) < 3
    basis = pricer.model().fit.basis
    filled = house_columns.fill(pricer.known().houses.facts, basis)
    assert filled["grade"][3] == basis.fills["grade"] == np.nanmedian(basis.sold.facts["grade"])
    zipcode = f"{int(facts['zipcode'][3]):05d}"
    assert filled["lat"][3] == basis.centres[list(basis.zips).index(zipcode), 0]
    assert not np.isnan(filled["zipcode"][4])


def test_a_switch_is_noticed(registry: Registry) -> None:
    pricer = Pricer(registry)
    house = str(pricer.known().houses.ids[0])
    before = pricer.price(house)
    fitting.publish(registry, factor=2.0)
    after = pricer.price(house)
    assert (before.version, after.version) == ("v0001", "v0002")
    assert after.price > before.price * 1.5
    registry.rollback("the test says so")
    assert pricer.price(house) == before


def test_without_a_model_the_command_that_makes_one_is_named(lake: Path) -> None:
    with pytest.raises(UnavailableError, match=r"jobs/houses/train\.py"):
        Pricer().price("1")


@pytest.mark.parametrize("file", [export.EXPORT, export.HOUSES])
def test_a_damaged_version_is_refused_by_the_file_name(registry: Registry, file: str) -> None:
    path = registry.path("v0001") / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=file):
        Pricer(registry).model()


def test_the_hold_out_is_a_fifth_and_fixed() -> None:
    ids = fitting.real_houses().ids
    hold_out = [house_columns.is_hold_out(str(house)) for house in ids]
    assert 0.15 < np.mean(hold_out) < 0.25
    assert [house_columns.is_hold_out(house) for house in ("7129300520", "1000102", "9900000190")] == [
        True,
        False,
        True,
    ]
