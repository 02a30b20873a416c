"""The domain's commands of `lake`: the price of a house by id, now or as of another time."""

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.cli.options import AsJson
from lakehouse.errors import LakeError, UsageError

if TYPE_CHECKING:
    from jobs.houses.price_model.answers import Answer

app = typer.Typer()


@app.command()
def price(
    house_id: Annotated[str, typer.Argument(help="Id of a house.")],
    change: Annotated[
        list[str] | None, typer.Option("--set", help="What if: fact=number, for example grade=9.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the price of a house by its id, with 80 % interval and contributions; needs no Java."""
    from jobs.houses.price_model.pricer import Pricer

    _show(Pricer().price(house_id, _changes(change or [])), as_json)


@app.command()
def explain(
    house_id: Annotated[str, typer.Argument(help="Id of a house.")],
    at: Annotated[str, typer.Option(help="A time, ISO 8601; UTC unless it has a zone. Default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show which model version was live at a time, and its price of the house."""
    from jobs.houses.price_model.answers import answer
    from jobs.houses.price_model.published import Model
    from jobs.houses.schema import PRICE_MODEL
    from lakehouse.models.registry import Registry

    registry, moment = Registry(PRICE_MODEL), _moment(at)
    version = registry.live_at(moment)
    switches = registry.switches()
    if version is None:
        first = f"The first went live at {switches[0].at:%Y-%m-%d %H:%M:%S} UTC." if switches else "None ever did."
        raise LakeError(f"No model was live at {moment:%Y-%m-%d %H:%M:%S} UTC.", first)
    given = answer(Model(registry, version), house_id, {})
    switch = next(switch for switch in reversed(switches) if switch.version == version and switch.at <= moment)
    if not as_json:
        typer.echo(f"At {moment:%Y-%m-%d %H:%M:%S} UTC {version} was live, since {switch.at:%Y-%m-%d %H:%M:%S} UTC:")
        typer.echo(f"  {switch.reason}")
    _show(given, as_json)


def _changes(given: list[str]) -> dict[str, float]:
    from jobs.houses.price_model import what_if

    facts: dict[str, str | list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes fact=number; got {text[:40]!r}.", "For example --set grade=9.")
        facts[name] = [value, value] if name in facts else value
    return what_if.parse(facts)


def _moment(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at takes a time in ISO 8601; got {text!r}.", "For example 2026-05-01T12:00.") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show(given: "Answer", as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(given.as_dict(), indent=1) + "\n")
        return
    state = "for sale" if given.for_sale else f"sold for ${given.sold_price:,.0f}" if given.sold_price else "not sold"
    lines = [
        f"{given.id}: ${given.price:,.0f}  (80 %: ${given.low:,.0f} to ${given.high:,.0f}), {state}",
        f"Model {given.version}, trained on sales up to {given.cut_off or 'an unknown day'}, {given.trained_at}",
    ]
    if given.imputed:
        lines.append(f"Unknown for this house, so filled in: {', '.join(given.imputed)}")
    if given.unknown:
        lines.append(f"Unknown for all houses, so not part of the price: {', '.join(given.unknown)}")
    lines.append(f"\n  {'The average house':28}{'':24}{_dollars(given.baseline):>12}")
    lines += [
        f"  {part.label:28}{part.value_text:24}{_dollars(part.dollars, True):>12}" for part in given.contributions
    ]
    lines.append("\n  Comparable sales before it")
    lines += [
        f"  {sale.id:12} ${sale.price:>10,.0f}  {_or_dash(sale.km, '5.2f')} km  {sale.sqft_living:>6,.0f} sq ft  "
        f"grade {_or_dash(sale.grade, 'g')}  built {sale.yr_built:.0f}  listed {sale.listed_on}"
        for sale in given.comparables
    ]
    typer.echo("\n".join(lines))


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _dollars(value: float, signed: bool = False) -> str:
    sign = "-" if value < 0 else "+" if signed else ""
    return f"{sign}${abs(value):,.0f}"
