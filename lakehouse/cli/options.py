"""Arguments and options that several commands have."""

from typing import Annotated

import typer

Domains = Annotated[list[str] | None, typer.Argument(help="Domains; all of them when none is named.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
