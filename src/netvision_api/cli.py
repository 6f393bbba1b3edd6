"""The command `netvision-api`: serve, db, openapi, config.

Litestar and SQLAlchemy are imported by the commands that need them, so that help appears at once.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Annotated

import typer

from netvision_api import __version__
from netvision_api.database_url import mask_passwords
from netvision_api.option_spec import options_of, variable
from netvision_api.settings import ConfigurationError, Settings
from netvision_api.typer_options import Command, Group, Only, with_options

CONTEXT = {"help_option_names": ["-h", "--help"]}
LOCK_SECONDS = 5
"""How long a migration waits for another one of the same SQLite file."""

app = typer.Typer(
    name="netvision-api",
    help="The records service: run it, and look after its database.",
    context_settings=CONTEXT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
db = typer.Typer(cls=Group, help="Upgrade, downgrade or inspect the schema of the database.", no_args_is_help=True)
app.add_typer(db, name="db")

DatabaseSettings = Annotated[Settings, Only("database_url")]


def fail(message: str, *, code: int = 1) -> None:
    """Print one sentence about what went wrong, and exit with a status."""
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def print_version(value: bool) -> None:  # noqa: FBT001 - the signature of a callback
    """Print the version and exit."""
    if value:
        print(f"netvision-api {__version__}")
        raise typer.Exit


@app.callback()
def netvision_api(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The records service: run it, and look after its database."""  # noqa: D401 - help of a command


@app.command(
    cls=Command,
    epilog="""
    netvision-api serve
    netvision-api serve --database-url sqlite:///records.db --port 0
    NETVISION_DATABASE_URL=postgresql://user@localhost/records netvision-api serve --workers 2 --migrate
    """,
)
@with_options
def serve(
    *,
    settings: Settings,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Run the service until Ctrl-C or SIGTERM."""
    # Prometheus's client reads it when it is imported; a folder that others chose is not for this service.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    from netvision_api.logs import notices
    from netvision_api.server import StartupError
    from netvision_api.server import serve as run
    from netvision_api.storage.errors import StorageError

    try:
        run(settings, until_stdin_closes=until_stdin_closes)
    except (StartupError, StorageError) as error:
        notices.error("%s.", error)
        raise typer.Exit(1) from error
    except ConfigurationError as error:
        notices.error("%s.", error)
        raise typer.Exit(2) from error


@app.command(cls=Command, epilog="netvision-api openapi > openapi.json")
def openapi() -> None:
    """Print the OpenAPI document."""
    from netvision_api.app import create_app
    from netvision_api.http.openapi import document

    print(document(create_app(Settings())).decode())


@app.command(
    cls=Command,
    epilog="""
    netvision-api config
    NETVISION_PORT=9000 netvision-api config --grace 30s
    """,
)
@with_options
def config(*, settings: Settings, context: typer.Context) -> None:
    """Print every setting, its value and its source."""
    for field in fields(settings):
        print(f"{field.name:<18} {shown(settings, field.name):<40} {origin(settings, field.name, context)}")


def origin(settings: Settings, name: str, context: typer.Context) -> str:
    """Return the source of the value of a setting."""
    source = context.get_parameter_source(name)
    if source is None:  # a secret, which has no option
        return "default" if getattr(settings, name) is None else f"variable {variable(name)}"
    return {"COMMANDLINE": "option", "ENVIRONMENT": f"variable {variable(name)}"}.get(source.name, "default")


def shown(settings: Settings, name: str) -> str:
    """Format the value of a setting as its option takes it, without secrets."""
    option = options_of(Settings)[name]
    value = settings.migrates if name == "migrate" else getattr(settings, name)
    if name == "database_url":
        return mask_passwords(settings.database_url)
    if name == "allowed_hosts":
        return "any" if settings.hosts is None else ",".join(sorted(settings.hosts))
    if value is None:
        return "none"
    return "***" if option.is_secret else str(value).lower() if isinstance(value, bool) else option.format(value)


@contextmanager
def storage_errors_reported() -> Iterator[None]:
    """Turn an error of storage into one sentence and exit status 1."""
    from netvision_api.storage.errors import StorageError

    try:
        yield
    except StorageError as error:
        fail(f"{error}.")


@db.command(
    cls=Command,
    epilog="""
    netvision-api db upgrade
    NETVISION_DATABASE_URL=postgresql://user@localhost/records netvision-api db upgrade
    """,
)
@with_options
def upgrade(*, settings: DatabaseSettings) -> None:
    """Upgrade the schema; migrations that run at the same time wait for each other."""
    from netvision_api.storage import revisions
    from netvision_api.storage.sqlite_file import sqlite_file_lock

    with storage_errors_reported():
        with sqlite_file_lock(settings, timeout=LOCK_SECONDS):
            revisions.upgrade(settings)
        print(revisions.revision(settings))


@db.command(
    cls=Command,
    epilog="""
    netvision-api db downgrade
    netvision-api db downgrade base --yes
    """,
)
@with_options
def downgrade(
    revision: Annotated[
        str | None, typer.Argument(help="A revision or `base`; by default the one before.", show_default=False)
    ] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not require confirmation before records are dropped.")] = False,
    settings: DatabaseSettings,
) -> None:
    """Revert revisions of the schema."""
    from netvision_api.storage import revisions
    from netvision_api.storage.sqlite_file import sqlite_file_lock

    with storage_errors_reported():
        with sqlite_file_lock(settings, timeout=LOCK_SECONDS):
            before = revisions.revision(settings)
            reverted = revisions.revisions_to_revert(before, revision or ("-1" if before else "base"))
            if revisions.drops_records(reverted) and not yes:
                confirm(f"This drops the records' table and the {revisions.count(settings)} records in it. Go on?")
            revisions.downgrade(settings, reverted)
        print(revisions.revision(settings) or "none")


def confirm(question: str) -> None:
    """Require confirmation on a terminal; without one, fail."""
    if not sys.stdin.isatty():
        fail(f"{question} There is no terminal to confirm it on: add --yes.", code=2)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Exit(1)


@db.command(cls=Command, epilog="netvision-api db current")
@with_options
def current(*, settings: DatabaseSettings) -> None:
    """Print the revision of the database."""
    from netvision_api.storage import revisions

    with storage_errors_reported():
        print(revisions.revision(settings) or "none")


@db.command(cls=Command, epilog="netvision-api db check && netvision-api serve")
@with_options
def check(*, settings: DatabaseSettings) -> None:
    """Exit with status 0 if the schema is the one this version needs, else 1."""
    from netvision_api.storage import revisions

    with storage_errors_reported():
        revisions.check_schema(settings)
        print(f"up to date at {revisions.head()}")


@db.command(cls=Command, epilog="netvision-api db sql | psql records")
@with_options
def sql(*, settings: DatabaseSettings) -> None:
    """Print the statements that create the schema in an empty database."""
    from netvision_api.storage import revisions

    print(revisions.upgrade_sql(settings), end="")


def main() -> None:
    """Run the command."""
    app()
