"""A small canvas that writes SVG: lines, areas, marks and text, in pixels from the top left corner.

Text stays text, so that it takes the page's font, can be searched and selected. Colours become CSS variables with the
plain colour as fallback, so that a style sheet can turn them. Numbers keep two decimals: same calls, same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

from markupsafe import Markup

# Okabe and Ito's colours, which people with any common colour blindness tell apart; shape and dash repeat them.
INK = "#1d2329"
MUTED = "#59636e"
HAIR = "#d5dadf"
BLUE = "#0072b2"
RED = "#d55e00"
RUST = "#a84300"  # the same, dark enough for words
PAPER = "#ffffff"
VARIABLES = {INK: "ink", MUTED: "muted", HAIR: "hair", BLUE: "blue", RED: "red", RUST: "rust", PAPER: "paper"}

# Widths in em, on the wide side of what systems use for sans-serif text; any other character counts as OTHER.
_WIDTHS = dict.fromkeys("ijlI.,:;'|", 0.34) | dict.fromkeys("frt()[]/- \u00a0", 0.42)
_WIDTHS |= dict.fromkeys("mwMW%@+=\u2212", 0.98)
_OTHER, _BOLD = 0.65, 1.12

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]
Shape = Literal["circle", "diamond", "square"]


def text_width(words: str, size: float, *, bold: bool = False) -> float:
    """About how many pixels a text takes, rather too many than too few: the reader's font is not known here."""
    return size * (_BOLD if bold else 1) * sum(_WIDTHS.get(character, _OTHER) for character in words)


def number(value: float) -> str:
    """At most two decimals, without idle zeros or a negative zero."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def tag(element: str, content: str = "", /, **attributes: str | float | None) -> Markup:
    """An element with its attributes; whatever is no markup yet is escaped, and None is left out."""
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), value if isinstance(value, str) else number(value))
        for key, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>" if content else "<{0}{1}/>").format(element, said, content)


def _paint(colour: str) -> str:
    return f"var(--{VARIABLES[colour]}, {colour})" if colour in VARIABLES else colour


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)


class Canvas:
    """The elements of one drawing; what is drawn later covers what was drawn before.

    Args:
        width: Pixels.
        height: Pixels.
        size: Font size in pixels; small text is one pixel smaller.
    """

    def __init__(self, width: float, height: float, size: float) -> None:
        self.width, self.height, self.size = width, height, size
        self._elements: list[Markup] = []

    def _add(self, element: str, content: str = "", /, **attributes: str | float | None) -> None:
        self._elements.append(tag(element, content, **attributes))

    def line(
        self, points: Iterable[Point], colour: str, *, width: float = 1, dash: str | None = None, opacity: float = 1
    ) -> None:
        """A line through the points; `dash` holds lengths in pixels, on and off in turn."""
        stroke: dict[str, str | float | None] = {"stroke": _paint(colour), "stroke_width": width}
        stroke |= {"stroke_dasharray": dash, "stroke_opacity": opacity if opacity < 1 else None}
        self._add("polyline", points=_points(points), **stroke)

    def area(self, points: Iterable[Point], colour: str, *, opacity: float) -> None:
        """A filled polygon without an outline."""
        self._add("polygon", points=_points(points), fill=_paint(colour), fill_opacity=opacity)

    def mark(self, shape: Shape, at: Point, radius: float, *, fill: str, edge: str, width: float = 1.6) -> None:
        """A marker; `radius` reaches to the edge of a circle or square and to the corners of a diamond."""
        (x, y), r = at, radius
        paint = {"fill": _paint(fill), "stroke": _paint(edge), "stroke_width": number(width)}
        if shape == "circle":
            self._add("circle", cx=x, cy=y, r=r, **paint)
            return
        corners = [(-r, -r), (r, -r), (r, r), (-r, r)] if shape == "square" else [(0, -r), (r, 0), (0, r), (-r, 0)]
        self._add("polygon", points=_points((x + dx, y + dy) for dx, dy in corners), **paint)

    def text(
        self, at: Point, words: str, colour: str, *, anchor: Anchor = "middle", bold: bool = False, small: bool = False
    ) -> None:
        """Words on the baseline `at`; centred ones are moved as far as it takes to stay on the canvas."""
        x, y = at
        size = self.size - small
        if anchor == "middle":
            half = text_width(words, size, bold=bold) / 2
            x = max(min(x, self.width - half), half)
        style = {"text_anchor": anchor, "fill": _paint(colour), "font_weight": "700" if bold else None}
        self._add("text", words, x=x, y=y, font_size=size if small else None, **style)

    @contextmanager
    def titled(self, title: str) -> Iterator[None]:
        """Shows `title` to a pointer that rests on what is drawn inside."""
        outer, self._elements = self._elements, [tag("title", title)]
        try:
            yield
        finally:
            outer.append(tag("g", self.markup()))
            self._elements = outer

    def markup(self) -> Markup:
        """What was drawn so far, as the inside of an `<svg>` element."""
        return Markup("").join(self._elements)
