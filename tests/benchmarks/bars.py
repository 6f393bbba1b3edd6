"""Bars in groups, as SVG."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tests.benchmarks.findings import Bars, written

COLOURS = ("#2563eb", "#9ca3af", "#d97706", "#059669", "#9333ea", "#dc2626")
WIDTH, LEFT, RIGHT = 900, 270, 70
BAR, GAP, TOP = 14, 12, 56
STYLE = "text { font: 12px system-ui, sans-serif; fill: #111827 } .title { font-size: 15px; font-weight: 600 }"


def draw(bars: Bars) -> str:
    """Draw bars, the groups below each other."""
    names = list(dict.fromkeys(name for group in bars.groups.values() for name in group))
    height = TOP + sum(BAR * len(group) + GAP for group in bars.groups.values())
    picture = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", width=str(WIDTH))
    SubElement(picture, "style").text = STYLE
    box(picture, 0, 0, WIDTH, height, "#ffffff")
    write(picture, 12, 20, bars.title, class_="title")
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    for place, (name, colour) in enumerate(colours.items()):
        box(picture, LEFT + 110 * place, 32, 10, 10, colour)
        write(picture, LEFT + 110 * place + 14, 41, name)
    longest = max(value for group in bars.groups.values() for value in group.values())
    y = TOP
    for title, group in bars.groups.items():
        write(picture, LEFT - 8, y + BAR * len(group) / 2 + 4, title, text_anchor="end")
        for name, value in group.items():
            length = (WIDTH - LEFT - RIGHT) * value / longest
            box(picture, LEFT, y, length, BAR - 2, colours[name])
            write(picture, LEFT + length + 4, y + BAR - 3, written(float(value)))
            y += BAR
        y += GAP
    indent(picture)
    return tostring(picture, "unicode")


def box(picture: Element, x: float, y: float, width: float, height: float, colour: str) -> None:  # noqa: PLR0913, PLR0917 - a box has that many sides
    """Draw a box."""
    place = {"x": x, "y": y, "width": width, "height": height}
    SubElement(picture, "rect", {name: f"{value:.1f}" for name, value in place.items()}, fill=colour)


def write(picture: Element, x: float, y: float, text: str, **attributes: str) -> None:
    """Write a text."""
    styles = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    SubElement(picture, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}"} | styles).text = text
