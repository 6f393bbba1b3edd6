"""The specification of an option: the metadata of a dataclass's field, which `typer_options` turns into an option.

The client and the server do not import each other, so each has this file; a test keeps the two equal.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict, get_args, get_type_hints

VARIABLE_PREFIX = "NETVISION_"


class Option(NamedTuple):
    """How the command line offers a field of a dataclass."""

    help: str
    has_variable: bool = False
    """Whether the environment can set it too, as NETVISION_<NAME>."""

    is_secret: bool = False
    """Whether only the environment can set it: other users of the machine can see the command line."""

    is_negatable: bool = False
    """Whether a flag can be switched off, by --no-<name>."""

    is_eager: bool = False
    """Whether it is processed before the others."""

    hidden: bool = False
    group: str | None = None
    """The heading under which help lists it."""

    min: float | None = None
    max: float | None = None
    parse: Callable[[Any], Any] | None = None
    """Parses the text; raises ValueError for wrong usage."""

    format: Callable[[Any], str] = str
    """Formats a value as `parse` reads it."""

    metavar: str | None = None
    callback: Callable[[Any], Any] | None = None


class Notation(TypedDict):
    """How a kind of value is written on the command line: some of the fields of Option."""

    parse: Callable[[Any], Any]
    format: Callable[[Any], str]
    metavar: str


def options_of(kind: Any) -> dict[str, Option]:  # noqa: ANN401 - any dataclass
    """Return the option of each field of a dataclass."""
    return {name: get_args(hint)[1] for name, hint in get_type_hints(kind, include_extras=True).items()}


def flag(name: str) -> str:
    """Return the option of a field."""
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"{VARIABLE_PREFIX}{name.upper()}"
