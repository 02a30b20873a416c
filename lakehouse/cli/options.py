"""Arguments and options that several commands have."""

from typing import Annotated

import typer

Domains = Annotated[list[str] | None, typer.Argument(help="Domains; all of them when none is named.")]
Started = Annotated[
    list[str] | None,
    typer.Argument(metavar="[DOMAINS]...", help="Domains; those of conf/platform.toml when none is named."),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
