"""`lake new`: a domain to begin with."""

from typing import Annotated

import typer


def new(name: Annotated[str, typer.Argument(help="The domain's name: lower-case letters, digits and _.")]) -> None:
    """Write a working domain to begin with: contract, jobs, audit, page, tests. Changes no file that is there."""
    from lakehouse.scaffold import new_domain

    for path in new_domain.write(name):
        typer.echo(path)
    typer.echo(f"Start it: lake up {name}. Then make its events yours: jobs/{name}/schema.py and transforms.py.")
