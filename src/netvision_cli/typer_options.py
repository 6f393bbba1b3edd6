"""Dataclasses as options of a command: `@with_options` spreads their fields over its signature, for Typer to read.

The client and the server do not import each other, so each has this file; a test keeps the two equal.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from netvision_cli.option_spec import Option, flag, options_of, variable

USAGE_ERROR = 2
OTHERS = "Options"
"""The heading of the options without a group."""


class Only(NamedTuple):
    """Marks a parameter whose dataclass offers one field; the others keep their defaults."""

    name: str


class WholeSummary:
    """What the list of commands shows of one; click would cut it."""

    help: str | None

    def get_short_help_str(self, limit: int = 45) -> str:  # noqa: ARG002 - click's signature
        """Return the first line of the help."""
        return (self.help or "").partition("\n")[0]


class Group(WholeSummary, TyperGroup):
    """A group of commands."""


class Command(WholeSummary, TyperCommand):
    """A command whose help groups options under headings and shows examples as they are typed."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - click's own type, which Typer may bundle
        """Write the arguments, then the options by group, those without one last."""
        sections: dict[str, list[Any]] = {"Arguments": []}
        for parameter in self.get_params(ctx):
            is_argument = parameter.param_type_name == "argument"
            sections.setdefault("Arguments" if is_argument else group_of(parameter), []).append(parameter)
        sections[OTHERS] = sections.pop(OTHERS)
        for heading, parameters in sections.items():
            if rows := [row for parameter in parameters if (row := parameter.get_help_record(ctx))]:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - click's signature
        """Write the examples line by line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(self.epilog).splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


def group_of(option: Any) -> str:  # noqa: ANN401 - click's own type, which Typer may bundle
    """Return the heading under which help lists an option."""
    return getattr(option, "rich_help_panel", None) or OTHERS


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass by options for its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups = {name: group for name, p in signature.parameters.items() if (group := group_from(p.annotation))}
    own = [parameter for name, parameter in signature.parameters.items() if name not in groups]

    def with_values(**values: Any) -> None:  # noqa: ANN401 - the values of all options
        for name, (kind, names) in groups.items():
            values[name] = built(kind, names, values)
        command(**values)

    parameters = [*own, *(parameter for group in groups.values() for parameter in option_parameters(*group))]
    with_values.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_values.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    with_values.__doc__, with_values.__name__ = command.__doc__, command.__name__
    return with_values


def group_from(annotation: Any) -> tuple[Any, list[str]] | None:  # noqa: ANN401 - any annotation
    """Return the dataclass of a parameter and the fields it offers; None if the parameter is an option itself."""
    kind, *marks = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if not is_dataclass(kind):
        return None
    only = [mark.name for mark in marks if isinstance(mark, Only)]
    return kind, only or [field.name for field in fields(kind)]


def built(kind: Any, names: list[str], values: dict[str, Any]) -> Any:  # noqa: ANN401 - any dataclass
    """Take the fields of a dataclass out of the options, or out of the environment if they are secret, and build it.

    A ValueError of the dataclass is a usage error.
    """
    specs = options_of(kind)
    given = {
        name: os.environ.get(variable(name)) if specs[name].is_secret else as_tuple(values.pop(name)) for name in names
    }
    try:
        return kind(**given)
    except ValueError as error:
        print(f"Error: {error}.", file=sys.stderr)
        raise typer.Exit(USAGE_ERROR) from error


def option_parameters(kind: Any, names: list[str]) -> Iterator[inspect.Parameter]:  # noqa: ANN401 - any dataclass
    """Yield fields of a dataclass as keyword parameters; secrets are none."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        type_, option = get_args(hints[field.name])
        if field.name in names and not option.is_secret:
            yield inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default_of(field, option),
                annotation=option_annotation(field.name, type_, option),
            )


def default_of(field: "Field[Any]", option: Option) -> Any:  # noqa: ANN401 - any value of an option
    """Return the default of a field; one that is parsed as it would be typed, so that help shows it like that."""
    value = field.default if field.default_factory is MISSING else field.default_factory()
    is_typed = option.parse and value is not None and type(value) is not tuple
    return option.format(value) if is_typed else value


def option_annotation(name: str, kind: Any, option: Option) -> Any:  # noqa: ANN401 - any type
    """Return the annotation by which Typer knows an option."""
    return Annotated[
        list[Any] if get_origin(kind) is tuple else kind,
        typer.Option(
            f"{flag(name)}/{flag(f'no_{name}')}" if option.is_negatable else flag(name),
            help=option.help,
            envvar=variable(name) if option.has_variable else None,
            hidden=option.hidden,
            rich_help_panel=option.group,
            min=option.min,
            max=option.max,
            parser=checked(option.parse) if option.parse else None,
            metavar=option.metavar,
            is_eager=option.is_eager,
            callback=option.callback,
        ),
    ]


def checked(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turn a parser's ValueError into a usage error."""

    def parse_or_fail(text: Any) -> Any:  # noqa: ANN401 - the argument of any parser
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parse_or_fail


def as_tuple(value: Any) -> Any:  # noqa: ANN401 - any value of an option
    """Return what Typer gathered from a repeated option as a tuple, so that it is frozen too."""
    return tuple(value) if isinstance(value, list) else value
