"""Frozen values as options of a command: `@with_options` spreads their fields over its signature, for Typer to read."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from netvision_cli.options import Option, flag


def checked(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have a ValueError of a reader told as wrong usage."""

    def parsed(text: Any) -> Any:  # noqa: ANN401 - whatever the reader reads
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parsed


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace each parameter that is a dataclass by options for its fields."""
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: p.annotation for name, p in signature.parameters.items() if is_dataclass(p.annotation)
    }
    own = [parameter for name, parameter in signature.parameters.items() if name not in groups]
    shared = {name: spread(group) for name, group in groups.items()}

    def with_values(**values: Any) -> None:  # noqa: ANN401 - whatever the options are
        for name, group in groups.items():
            values[name] = group(**{option.name: plain(values.pop(option.name)) for option in shared[name]})
        command(**values)

    parameters = [*own, *(option for options in shared.values() for option in options)]
    with_values.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    with_values.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    with_values.__doc__, with_values.__name__ = command.__doc__, command.__name__
    return with_values


def spread(group: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - any dataclass
    """List the fields of a dataclass as keyword parameters."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=offered(field.name, *get_args(hints[field.name])),
        )
        for field in fields(group)
    ]


def offered(name: str, kind: Any, option: Option) -> Any:  # noqa: ANN401 - any type
    """Say in Typer's words how a field is given."""
    said = {key: value for key, value in option._asdict().items() if value is not None}
    if get_origin(kind) is tuple:
        kind = list[Any]
    if option.parser:
        said["parser"] = checked(option.parser)
    return Annotated[kind, typer.Option(flag(name), **said)]


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of an option
    """Freeze what Typer gathered of an option that can be repeated."""
    return tuple(value) if isinstance(value, list) else value
