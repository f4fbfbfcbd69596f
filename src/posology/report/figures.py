"""Figures as inline SVG: drawn by matplotlib, then cut down to what a self-contained page needs.

Every figure is drawn twice, for a wide and for a narrow column, and the page's style sheet shows the one that fits; a
scaled-down wide figure would be unreadable on a phone. Text stays text, so that it takes the page's font, can be
searched and selected, and is read aloud. Colours become CSS variables with the plain colour as fallback.

Two same calls give the same bytes: fixed hash salt, no date, matplotlib's defaults instead of the user's settings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people with any common colour blindness tell apart; shape and dash repeat them.
INK = "#1d2329"
MUTED = "#59636e"
HAIR = "#d5dadf"
BLUE = "#0072b2"
RED = "#d55e00"
RUST = "#a84300"  # the same, dark enough for words
PAPER = "#ffffff"
VARIABLES = {INK: "ink", MUTED: "muted", HAIR: "hair", BLUE: "blue", RED: "red", RUST: "rust", PAPER: "paper"}

_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign is money here
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same layout on every machine
    "axes.unicode_minus": True,
    "path.simplify": False,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """The room that a figure is drawn for.

    Attributes:
        name: Its name and CSS class.
        width: Pixels.
        text: Font size in pixels.
        left: Room left of the axes, in pixels.
        right: Room right of them.
        gap: Least distance between two labels on the horizontal axis, in pixels.
    """

    name: Literal["wide", "narrow"]
    width: int
    text: float
    left: int
    right: int
    gap: int

    @property
    def inner(self) -> int:
        """Width of the axes in pixels."""
        return self.width - self.left - self.right


WIDE = Frame("wide", 760, 13, left=40, right=70, gap=44)
NARROW = Frame("narrow", 360, 12.5, left=30, right=68, gap=42)


@dataclass(frozen=True, slots=True)
class Panel:
    """Where axes stand in a figure, in pixels from its top."""

    top: int
    height: int


def canvas(frame: Frame, height: int) -> Figure:
    """An empty figure; one unit of its SVG is one pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(frame.width / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    return figure


def axes(figure: Figure, frame: Frame, panel: Panel) -> Axes:
    """Bare axes: no box, horizontal hairlines behind the data, labels without ticks on the left."""
    height = figure.get_figheight() * 72
    box = (frame.left / frame.width, 1 - (panel.top + panel.height) / height, frame.inner / frame.width)
    ax = figure.add_axes((*box, panel.height / height))
    ax.patch.set_visible(False)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.tick_params(labelsize=frame.text, labelcolor=MUTED, color=MUTED, length=0, pad=6)
    ax.tick_params(axis="x", length=4, pad=4)
    ax.grid(axis="y", color=HAIR, linewidth=1)
    ax.set_axisbelow(True)
    return ax


def limits(values: Sequence[float], *, margin: float = 0.06, least: float = 0.02) -> tuple[float, float]:
    """Axis limits around shares, with some air; never a range below `least`."""
    low, high = min(values), max(values)
    air = max((high - low) * margin, (least - (high - low)) / 2, 0.002)
    return low - air, high + air


def ticks(low: float, high: float, at_most: int) -> list[float]:
    """Round numbers inside an axis."""
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(nbins=at_most, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [round(float(value), 10) for value in values if low <= value <= high]


def spaced(positions: Sequence[float], *, per_unit: float, gap: float, keep: Sequence[float] = ()) -> list[float]:
    """The positions that can be labelled without touching; `keep` win over the others, then the ends.

    Args:
        positions: Where labels are wanted, in data units.
        per_unit: Pixels a data unit.
        gap: Least distance in pixels.
        keep: Positions that matter most, first come first served.
    """
    ends = [max(positions), min(positions)] if positions else []
    chosen: list[float] = []
    for position in [*keep, *ends, *sorted(positions)]:
        if all(abs(position - other) * per_unit >= gap for other in chosen):
            chosen.append(position)
    return sorted(chosen)


def inside(ax: Axes, frame: Frame, x: float, text: str) -> float:
    """Pixels by which a label centred on `x` must move to stay inside the figure.

    The page's font is not known here; 0.68 em a bold character is on the wide side of what systems use.
    """
    left, right = ax.get_xlim()
    centre = frame.left + (x - left) / (right - left) * frame.inner
    half = 0.34 * frame.text * len(text)
    return float(min(max(centre, half), frame.width - half) - centre)


def both(name: str, draw: Callable[[Frame], Figure], *, title: str, description: str) -> Markup:
    """A figure for both widths.

    Args:
        name: Unique on the page; made of lower-case letters.
        draw: Draws it for one frame.
        title: Read aloud first.
        description: What a reader who cannot see it must know.

    Returns:
        Two `<svg>` elements, classes `wide` and `narrow`.
    """
    import matplotlib

    parts = []
    for frame in (WIDE, NARROW):
        buffer = io.StringIO()
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            settings: Any = {**_SETTINGS, "svg.hashsalt": f"{name}-{frame.name}"}
            matplotlib.rcParams.update(settings)
            nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
            draw(frame).savefig(buffer, format="svg", metadata=nothing)
        parts.append(_inline(buffer.getvalue(), f"{name}-{frame.name}", frame, title, description))
    return Markup("\n").join(parts)


def _inline(svg: str, name: str, frame: Frame, title: str, description: str) -> Markup:
    """Turns matplotlib's document into an element of a page."""
    box = re.search(r'viewBox="([^"]*)"', svg)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    body = svg[svg.index(">", box.end()) + 1 : svg.rindex("</svg>")]
    # A style element would leak into the whole page; ids that nothing refers to would stand there several times.
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = body.replace("xlink:href", "href").replace('transform="rotate(-0 ', 'transform="rotate(0 ')
    body = re.sub(r' transform="rotate\(0 [^"]*\)"', "", body)
    body = re.sub(r"(font-size: [\d.]+px); font-family: [^;\"]*", r"\1", body)
    body = re.sub(r"\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), body)
    body = re.sub(r"\s*\n\s*", " ", body).replace("> <", "><").strip()
    body = re.sub(r"#[0-9a-f]{6}\b", lambda match: _variable(match[0]), body)
    head = Markup(
        '<svg class="{}" role="img" viewBox="{}" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>'
    ).format(frame.name, box[1], name, name, name, title, name, description)
    return Markup("{}{}</svg>").format(head, Markup(body))


def _variable(colour: str) -> str:
    return f"var(--{VARIABLES[colour]}, {colour})" if colour in VARIABLES else colour
