"""Colors for text on standard error, if it is a terminal that shows them and NO_COLOR is not set."""

from collections.abc import Callable

from rich.console import Console
from rich.style import Style

GOOD, BAD, WARNING = "bold green", "bold red", "bold yellow"

Paint = Callable[[str, str], str]


def plain(text: str, _style: str) -> str:
    """Return a text without color."""
    return text


def painted(text: str, style: str) -> str:
    """Return a text with the codes of a style."""
    return Style.parse(style).render(text)


def paint_for(console: Console) -> Paint:
    """Return how texts for a console are painted."""
    has_colors = console.is_terminal and not console.no_color and not console.is_dumb_terminal
    return painted if has_colors else plain
