"""The least that Typer can run."""

from typing import Annotated

import typer


def show(value: bool) -> None:  # noqa: FBT001 - the signature of a callback
    """Print a version and end."""
    if value:
        print("typed 1.0")
        raise typer.Exit


def typed(*, _version: Annotated[bool, typer.Option("--version", callback=show, is_eager=True)] = False) -> None:
    """Do nothing."""


typer.run(typed)
