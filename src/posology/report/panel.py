"""A panel of a figure: the scales of its two axes, what labels them, and the marks that stand on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posology.report import formatting as fmt
from posology.report.canvas import HAIR, MUTED, Canvas, Shape, text_width

AIR = 4  # least distance between two labels in pixels


def limits(values: Sequence[float], *, margin: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Axis limits around shares, with some air; never a range below `least`."""
    low, high = min(values), max(values)
    air = max((high - low) * margin, (least - (high - low)) / 2, 0.002)
    return low - air, high + air


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Round numbers inside an axis, 1, 2 or 5 apart times a power of ten: about `at_most` of them, and at least two."""
    least = (high - low) / at_most
    power = math.floor(math.log10(least))
    steps = [digit * 10.0**exponent for exponent in (power + 1, power, power - 1) for digit in (5, 2, 1)]
    finest = next(i for i, step in enumerate(steps) if step < least * (1 - 1e-9)) - 1
    values: list[float] = []
    for step in steps[finest:]:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        values = [round(i * step, 10) for i in range(first, last + 1)]
        if len(values) > 1:
            break
    return values


def spaced(widths: Mapping[float, float], keep: Sequence[float] = ()) -> list[float]:
    """The places that can be labelled without touching; `keep` win over the others, first come, then the ends.

    Args:
        widths: The width of the label centred on each place, all in pixels.
        keep: The places that matter most.
    """
    ends = [max(widths), min(widths)] if widths else []
    chosen: list[float] = []
    for place in [*keep, *ends, *sorted(widths)]:
        if all(abs(place - other) >= (widths[place] + widths[other]) / 2 + AIR for other in chosen):
            chosen.append(place)
    return sorted(chosen)


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of mark is drawn; kinds differ in colour, shape, fill and dash at once."""

    colour: str
    shape: Shape
    fill: str
    radius: float
    dash: str | None = None


class Panel:
    """A rectangle on a canvas with data on both axes.

    Args:
        canvas: What to draw on.
        sides: The left and right edge in pixels.
        top: The upper edge in pixels.
        height: Pixels.
        across: Data at the left and right edge.
        up: Data at the lower and upper edge.
    """

    def __init__(
        self,
        canvas: Canvas,
        sides: tuple[float, float],
        top: float,
        height: float,
        *,
        across: tuple[float, float],
        up: tuple[float, float],
    ) -> None:
        self.canvas = canvas
        self.left, self.right = sides
        self.top, self.bottom = top, top + height
        self.across, self.up = across, up

    def x(self, value: float) -> float:
        """Where a value stands across; what lies beyond an edge is put on it."""
        return self.left + _share(value, self.across) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Where a value stands upwards; what lies beyond an edge is put on it."""
        return self.bottom - _share(value, self.up) * (self.bottom - self.top)

    def points(self, across: Sequence[float], up: Sequence[float]) -> list[tuple[float, float]]:
        """The places of pairs of values."""
        return list(zip(map(self.x, across), map(self.y, up), strict=True))

    def level(self, value: float, colour: str, *, width: float = 1, dash: str | None = None) -> None:
        """A line over the whole panel at one value."""
        self.canvas.line([(self.left, self.y(value)), (self.right, self.y(value))], colour, width=width, dash=dash)

    def heading(self, left: str, right: str = "", *, above: float = 14) -> None:
        """Names of the vertical axes, written level over them where they are read first."""
        self.canvas.text((2, self.top - above), left, MUTED, anchor="start")
        if right:
            self.canvas.text((self.canvas.width - 2, self.top - above), right, MUTED, anchor="end")

    def shares_axis(self, at_most: int) -> None:
        """Hairlines at round percentages with their numbers on the left, and the base line."""
        for value in ticks(*self.up, at_most):
            if 0 <= value <= 1:
                self.level(value, HAIR)
                at = (self.left - 6, self.y(value) + self._half_a_digit)
                self.canvas.text(at, fmt.decimal(round(value * 100, 1)), MUTED, anchor="end")
        self.canvas.line([(self.left, self.bottom), (self.right, self.bottom)], MUTED)

    def right_axis(self, labels: Mapping[float, str]) -> None:
        """Short ticks on the right at values of the vertical axis, with their labels."""
        for value, label in labels.items():
            y = self.y(value)
            self.canvas.line([(self.right, y), (self.right + 4, y)], MUTED)
            self.canvas.text((self.right + 8, y + self._half_a_digit), label, MUTED, anchor="start")

    @property
    def _half_a_digit(self) -> float:
        """Pixels by which the baseline lies below the middle of a label."""
        return 0.35 * self.canvas.size

    def lower_axis(self, labels: Mapping[float, Sequence[str]], name: str, keep: Sequence[float]) -> None:
        """A tick at every value, below it rows of words where they have room, and below all the name of the axis."""
        places = {self.x(value): words for value, words in labels.items()}
        widths = {x: max(text_width(word, self.canvas.size) for word in words) for x, words in places.items()}
        shown = spaced(widths, [self.x(value) for value in keep])
        for x, words in places.items():
            self.canvas.line([(x, self.bottom), (x, self.bottom + 4)], MUTED)
            for row, word in enumerate(words if x in shown else ()):
                self.canvas.text((x, self.bottom + 18 + 16 * row), word, MUTED, small=row > 0)
        rows = max(map(len, labels.values()))
        self.canvas.text((2, self.bottom + 22 + 16 * rows), name, MUTED, anchor="start")

    def mark(
        self, x: float, value: float, interval: tuple[float, float] | None, look: Look, title: str, *, aside: float = 0
    ) -> None:
        """A value with its interval, `aside` pixels from its place; the title shows to a pointer near either."""
        at = self.x(x) + aside
        with self.canvas.titled(title):
            if interval is not None:
                bar = [(at, self.y(end)) for end in interval]
                self.canvas.line(bar, look.colour, width=9, opacity=0)  # a bar alone is too thin to point at
                self.canvas.line(bar, look.colour, width=1.8, dash=look.dash)
            self.canvas.mark(look.shape, (at, self.y(value)), look.radius, fill=look.fill, edge=look.colour)


def _share(value: float, ends: tuple[float, float]) -> float:
    return min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)
