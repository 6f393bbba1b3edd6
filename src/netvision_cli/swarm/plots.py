"""Plots as SVG elements, for a page that loads nothing: curves over time, and distributions."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.etree.ElementTree import Element

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 76, 12, 10, 26
TICKS = 5
TIME_STEPS = (*(1, 2, 5, 10, 15, 30), *(60, 120, 300, 600, 900, 1800), *(3600, 7200, 14400, 43200, 86400))
MINUTE, HOUR = 60, 3600

Value = float | None


def element(name: str, /, *content: "str | Element", **attributes: object) -> Element:
    """Make an element with a text or with elements; texts are escaped when written; `text_anchor` means text-anchor."""
    made = Element(name, {key.rstrip("_").replace("_", "-"): str(value) for key, value in attributes.items()})
    for item in content:
        if isinstance(item, str):
            made.text = item
        else:
            made.append(item)
    return made


@dataclass(frozen=True)
class Band:
    """A period with a name."""

    start: float
    end: float
    name: str
    kind: str = "plain"


@dataclass(frozen=True)
class Axis:
    """How values map to coordinates along an axis, and which of them are labelled."""

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    label: Callable[[float], str]
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high, value = (math.log(n) if self.is_log else n for n in (self.low, self.high, max(value, self.low)))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)


def time_axis(end: float) -> Axis:
    """Lay out seconds from left to right."""
    step = next((step for step in TIME_STEPS if end / step <= 2 * TICKS), math.ceil(end / TICKS))
    ticks = [n * step for n in range(int(end / step) + 1)]
    return Axis(0, max(end, 1e-3), LEFT, WIDTH - RIGHT, ticks, format_elapsed)


def linear_axis(values: Sequence[float]) -> Axis:
    """Lay out values from 0 upwards."""
    high = max(values, default=0.0) or 1.0
    step = nice(high / TICKS)
    count = math.ceil(high / step)
    return Axis(0, count * step, HEIGHT - BOTTOM, TOP, [n * step for n in range(count + 1)], format_number)


def log_axis(values: Sequence[float], start: float = HEIGHT - BOTTOM, end: float = TOP) -> Axis:
    """Lay out values so that the same distance is the same ratio; whole decades, or less if there is only one."""
    low, high = min(values, default=1.0), max(values, default=10.0)
    marks = [digit * 10.0**power for power in range(-4, 9) for digit in (1, 2, 5)]
    low = max((mark for mark in marks if mark <= low), default=marks[0])
    high = min((mark for mark in marks if mark > high), default=marks[-1])
    ticks = [mark for mark in marks if low <= mark <= high]
    if len(ticks) > 2 * TICKS:
        ticks = [mark for mark in ticks if math.log10(mark).is_integer()]
    return Axis(low, high, start, end, ticks, format_number, is_log=True)


def nice(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= step * (1 - 1e-9))


def format_number(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def format_elapsed(seconds: float) -> str:
    """Format a time since the start."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.3g} s"
    seconds = round(seconds)
    if seconds < 2 * HOUR:
        return f"{seconds // MINUTE}:{seconds % MINUTE:02} min"
    return f"{seconds // HOUR}:{seconds % HOUR // MINUTE:02} h"


@dataclass(frozen=True)
class Series:
    """Curves whose values each apply from one time to another."""

    times: Sequence[tuple[float, float]]
    curves: Mapping[str, Sequence[Value]]


def over_time(label: str, series: Series, readings: Series, unit: str, bands: Sequence[Band] = ()) -> Element:
    """Draw curves, durations on a logarithmic axis; the readings, of fewer times, are shown on demand."""
    known = [value for values in series.curves.values() for value in values if value]
    x, y = time_axis(series.times[-1][1]), (log_axis if unit == "ms" else linear_axis)(known)
    middles = [x.place((start + end) / 2) for start, end in series.times]
    drawn = [line(number, middles, values, y) for number, values in enumerate(series.curves.values())]
    tips = [
        tip(x, start, end, read_off(readings.curves, place, unit)) for place, (start, end) in enumerate(readings.times)
    ]
    return chart(label, [*grid(x, y, unit), *(shade(x, band) for band in bands), *drawn, *tips], list(series.curves))


def read_off(curves: Mapping[str, Sequence[Value]], place: int, unit: str) -> str:
    """Write the values of all curves at one place."""
    values = {name: values[place] for name, values in curves.items()}
    return ", ".join(
        f"{name} {format_number(value)} {unit}".rstrip() for name, value in values.items() if value is not None
    )


def distribution(label: str, curves: Mapping[str, Sequence[tuple[float, float]]], unit: str) -> Element:
    """Draw how often each value occurs, in per cent of its curve; values on a logarithmic axis."""
    x = log_axis([value for curve in curves.values() for value, _ in curve], LEFT, WIDTH - RIGHT)
    y = linear_axis([share for curve in curves.values() for _, share in curve])
    drawn = [
        line(number, [x.place(value) for value, _ in curve], [share for _, share in curve], y)
        for number, curve in enumerate(curves.values())
    ]
    named = text(WIDTH - RIGHT, HEIGHT - BOTTOM - 6, unit, "end")
    return chart(label, [*grid(x, y, "%"), *drawn, named], list(curves))


def chart(label: str, content: Sequence[Element], names: Sequence[str]) -> Element:
    """Put a drawing and its legend together; a narrow page scrolls it rather than shrinking its labels."""
    keys = (element("span", name, class_=f"key c{number}") for number, name in enumerate(names))
    drawing = element("svg", *content, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
    scroll = element("div", drawing, class_="scroll", tabindex="0")
    return element("figure", scroll, element("figcaption", *keys))


def grid(x: Axis, y: Axis, unit: str) -> Iterator[Element]:
    """Draw the grid and its labels."""
    for value in y.ticks:
        at = y.place(value)
        yield element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, class_="grid")
        yield text(LEFT - 6, at + 4, f"{y.label(value)} {unit}", "end")
    for value in x.ticks:
        yield text(x.place(value), HEIGHT - 8, x.label(value), "middle")


def text(x: float, y: float, content: str, anchor: str) -> Element:
    """Write in a drawing."""
    return element("text", content, x=x, y=y, text_anchor=anchor)


def line(number: int, places: Sequence[float], values: Sequence[Value], y: Axis) -> Element:
    """Draw a curve, with gaps for missing values."""
    points = zip(places, values, strict=True)
    pieces = (list(piece) for is_known, piece in groupby(points, lambda point: point[1] is not None) if is_known)
    return element("path", d="".join(stroke(piece, y) for piece in pieces), class_=f"curve c{number}")


def stroke(piece: Sequence[tuple[float, Value]], y: Axis) -> str:
    """Draw from point to point; a single point is a dot."""
    places = [f"{place},{y.place(value or 0.0)}" for place, value in piece]
    return "M" + "L".join(places if len(places) > 1 else places * 2)


def shade(x: Axis, band: Band) -> Element:
    """Shade a period, with its name as a tooltip."""
    left, right = x.place(band.start), x.place(band.end)
    title = element("title", f"{format_elapsed(band.start)} to {format_elapsed(band.end)}: {band.name}")
    width = max(0.1, round(right - left, 1))
    return element("rect", title, x=left, y=TOP, width=width, height=HEIGHT - BOTTOM - TOP, class_=f"band {band.kind}")


def tip(x: Axis, start: float, end: float, values: str) -> Element:
    """Show the values of a period above the curves while a pointer is on it, or after a touch."""
    left, right = x.place(start), x.place(end)
    width = max(0.1, round(right - left, 1))
    area = element("rect", x=left, y=TOP, width=width, height=HEIGHT - BOTTOM - TOP)
    shown = text(LEFT + 8, TOP + 12, f"{format_elapsed(start)} to {format_elapsed(end)}: {values}", "start")
    return element("g", area, shown, class_="tip", tabindex="-1")
