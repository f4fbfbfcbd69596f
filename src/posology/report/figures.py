"""Figures as inline SVG, each drawn twice: for a wide and for a narrow column.

The page's style sheet shows the one that fits; a scaled-down wide figure would be unreadable on a phone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from posology.report.canvas import Canvas, tag


@dataclass(frozen=True, slots=True)
class Frame:
    """The room that a figure is drawn for: name and CSS class, then in pixels width, text size and side margins."""

    name: Literal["wide", "narrow"]
    width: int
    text: float
    left: int
    right: int

    @property
    def sides(self) -> tuple[int, int]:
        """The left and right edge of the panels."""
        return self.left, self.width - self.right

    def canvas(self, height: float) -> Canvas:
        """An empty canvas of this width."""
        return Canvas(self.width, height, self.text)


WIDE = Frame("wide", 760, 13, left=40, right=70)
NARROW = Frame("narrow", 360, 12.5, left=36, right=68)


def both(name: str, draw: Callable[[Frame], Canvas], *, title: str, description: str) -> Markup:
    """A figure for both widths.

    Args:
        name: Unique on the page; made of lower-case letters.
        draw: Draws it for one frame.
        title: Read aloud first.
        description: What a reader who cannot see it must know.

    Returns:
        Two `<svg>` elements, classes `wide` and `narrow`.
    """
    return Markup("\n").join(
        _svg(f"{name}-{frame.name}", frame, draw(frame), title, description) for frame in (WIDE, NARROW)
    )


def _svg(name: str, frame: Frame, canvas: Canvas, title: str, description: str) -> Markup:
    said = tag("title", title, id=f"{name}-title") + tag("desc", description, id=f"{name}-desc")
    return tag(
        "svg",
        said + canvas.markup(),
        class_=frame.name,
        role="img",
        viewBox=f"0 0 {canvas.width:g} {canvas.height:g}",
        aria_labelledby=f"{name}-title {name}-desc",
        font_size=frame.text,
        fill="none",
        stroke_linejoin="round",
    )
