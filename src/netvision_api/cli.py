"""The command `netvision-api`: serve, db, openapi, config.

Litestar and SQLAlchemy are imported by the commands that need them, so that help is there at once.
"""

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

import typer

from netvision_api import __version__
from netvision_api.settings import Bytes, ConfigurationError, Seconds, Secret, Settings
from netvision_api.units import seconds, size

CONTEXT = {"help_option_names": ["-h", "--help"]}
DOTENV = ".env"
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
db = typer.Typer(help="Bring the schema of the database up to date, or back.", no_args_is_help=True)
app.add_typer(db, name="db")


def checked(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have a ValueError of a reader told as wrong usage."""

    def parsed(text: Any) -> Any:  # noqa: ANN401 - whatever the reader reads
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parsed


READERS: dict[object, tuple[type, Callable[[Any], Any], str]] = {
    Seconds: (float, checked(seconds), "DURATION"),
    Bytes: (int, checked(size), "SIZE"),
}
"""Types of settings with a notation of their own: what they are, how they are read, and what help calls them."""


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return f"NETVISION_{name.upper()}"


def option(name: str, annotation: object, default: object) -> inspect.Parameter:
    """Turn a field of the settings into an option of a command."""
    kind, help_ = get_args(annotation)
    kind, parser, metavar = READERS.get(kind, (kind, None, None))
    is_eager, callback = (True, read_dotenv) if name == "reload" else (False, None)
    details = typer.Option(
        envvar=variable(name), help=help_, parser=parser, metavar=metavar, is_eager=is_eager, callback=callback
    )
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, details])


def read_dotenv(value: bool) -> bool:  # noqa: FBT001 - the signature of a callback
    """Read `.env` in the working directory into the environment, with --reload only."""
    if value and os.path.exists(DOTENV):  # noqa: PTH110 - a name in the working directory
        from dotenv import load_dotenv

        load_dotenv(DOTENV)
    return value


@cache
def secrets() -> frozenset[str]:
    """Name the settings that are never shown, and that have no option."""
    hints = get_type_hints(Settings, include_extras=True)
    return frozenset(name for name, hint in hints.items() if get_args(hint)[:1] == (Secret | None,))


def takes_settings(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each of these settings, or for all of them; it gets a Settings in their place.

    Secrets have no option, since anyone on the machine can read the arguments of a process.
    """
    hints = get_type_hints(Settings, include_extras=True)
    defaults = Settings()
    wanted = [field.name for field in fields(Settings) if not names or field.name in names]
    options = [option(name, hints[name], getattr(defaults, name)) for name in wanted if name not in secrets()]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_settings(**values: Any) -> None:  # noqa: ANN401 - whatever the options are
            chosen = {parameter.name: values.pop(parameter.name) for parameter in options}
            chosen |= {name: os.environ.get(variable(name)) for name in secrets().intersection(wanted)}
            try:
                settings = Settings(**chosen)
            except ConfigurationError as error:
                fail(f"{error}.", code=2)
            command(settings, **values)

        own = list(inspect.signature(command).parameters.values())[1:]
        parameters = [*own, *options]
        with_settings.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_settings.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        with_settings.__doc__, with_settings.__name__ = command.__doc__, command.__name__
        return with_settings

    return decorate


def fail(message: str, *, code: int = 1) -> None:
    """Say in one sentence what went wrong, and end with an exit code."""
    print(f"Error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def print_version(value: bool) -> None:  # noqa: FBT001 - the signature of a callback
    """Print the version and end."""
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


@app.command()
@takes_settings()
def serve(
    settings: Settings,
    *,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", help="Stop when standard input ends, as it does with the parent.")
    ] = False,
) -> None:
    """Run the service until it is told to stop."""
    from netvision_api.server import StartupError
    from netvision_api.server import serve as run
    from netvision_api.storage.errors import DatabaseFileError, MigrationError

    if settings.is_sqlite:
        print(f"database: {settings.sqlite_path}", file=sys.stderr)
    try:
        run(settings, until_stdin_closes=until_stdin_closes)
    except (StartupError, DatabaseFileError, MigrationError) as error:
        fail(f"{error}.")


@app.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from netvision_api.app import create_app
    from netvision_api.http.openapi import document

    print(document(create_app(Settings())).decode())


@app.command()
@takes_settings()
def config(settings: Settings, *, context: typer.Context) -> None:
    """Print every setting, its value and where it came from."""
    origins = {"COMMANDLINE": "option", "ENVIRONMENT": "variable {}", "DEFAULT": "default"}
    for field in fields(settings):
        source = context.get_parameter_source(field.name)
        is_set_secret = source is None and getattr(settings, field.name) is not None
        origin = origins["ENVIRONMENT" if is_set_secret else source.name if source else "DEFAULT"]
        print(f"{field.name:<18} {shown(settings, field.name):<40} {origin.format(variable(field.name))}")


def shown(settings: Settings, name: str) -> str:
    """Write the value of a setting, without its secrets."""
    if name == "database_url":
        from sqlalchemy import make_url

        url = make_url(settings.database_url)
        passwords = {name: "***" for name in url.query if "password" in name}
        return url.update_query_dict(passwords).render_as_string(hide_password=True)
    value = settings.migrates if name == "migrate" else getattr(settings, name)
    if name in secrets():
        return "none" if value is None else "***"
    if name == "allowed_hosts":
        return "any" if settings.hosts is None else ",".join(sorted(settings.hosts))
    return str(value).lower() if isinstance(value, bool) else "none" if value is None else str(value)


def migrates(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command of `db` its database, and turn what can go wrong there into one sentence."""

    def with_database(settings: Settings, **values: Any) -> None:  # noqa: ANN401 - whatever the options are
        from netvision_api.storage.errors import StorageError

        try:
            command(settings, **values)
        except StorageError as error:
            fail(f"{error}.")

    with_database.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    with_database.__doc__, with_database.__name__ = command.__doc__, command.__name__
    return takes_settings("database_url")(with_database)


@db.command()
@migrates
def upgrade(settings: Settings) -> None:
    """Bring the schema up to date; whoever else does so at the same time is waited for."""
    from netvision_api.storage import revisions
    from netvision_api.storage.database import sqlite_file_lock

    with sqlite_file_lock(settings, timeout=LOCK_SECONDS):
        revisions.upgrade(settings)
    print(revisions.revision(settings))


@db.command()
@migrates
def downgrade(
    settings: Settings,
    revision: Annotated[str | None, typer.Argument(help="A revision or `base`; the one before, if not given.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before records are dropped.")] = False,
) -> None:
    """Take revisions back."""
    from netvision_api.storage import revisions
    from netvision_api.storage.database import sqlite_file_lock

    with sqlite_file_lock(settings, timeout=LOCK_SECONDS):
        before = revisions.revision(settings)
        target = revision or revisions.previous(before)
        if revisions.drops_records(before, target) and not yes:
            confirm(f"This drops the records' table and the {revisions.count(settings)} records in it. Go on?")
        revisions.downgrade(settings, target)
    print(revisions.revision(settings) or "none")


def confirm(question: str) -> None:
    """Ask on a terminal; without one, refuse."""
    if not sys.stdin.isatty():
        fail(f"{question} There is no terminal to ask on: add --yes.", code=2)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Exit(1)


@db.command()
@migrates
def current(settings: Settings) -> None:
    """Print the revision of the database."""
    from netvision_api.storage import revisions

    print(revisions.revision(settings) or "none")


@db.command()
@migrates
def check(settings: Settings) -> None:
    """End with 0 if the database has the schema that this version needs, with 1 if not."""
    from netvision_api.storage import revisions

    revisions.check_schema(settings)
    print(f"up to date at {revisions.head()}")


@db.command()
@migrates
def sql(settings: Settings) -> None:
    """Print the statements that bring an empty database up to date."""
    from netvision_api.storage import revisions

    print(revisions.upgrade_sql(settings), end="")


def main() -> None:
    """Run the command."""
    app()
