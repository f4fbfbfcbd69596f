"""The pictures of a collapse diagnosis: ranges and values, a map of texts, and distributions side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.canvas import BLUE, HAIR, MUTED, PAPER, RED, Canvas
from posology.report.figures import Frame
from posology.report.panel import Panel, spaced, ticks

REACH = 4.0  # limits to either side that the plane of a reading shows
PLANE = 170.0
GAP = 18


def plane(deviation: float, limit: float) -> Markup:
    """A reading on a common scale: the shaded band is what real text does by chance, the dot is the synthetic set."""
    half = PLANE / 2
    share = max(-REACH, min(REACH, deviation / limit)) / REACH
    x = half + share * (half - 6)
    band = (half - 6) / REACH
    colour = "var(--red)" if abs(deviation) > limit else "var(--blue)"
    beyond = abs(deviation) > REACH * limit
    tip = 6 if deviation > 0 else -6
    mark = (
        f'<path d="M{x - tip:.1f} 2.5l{tip} 4.5l{-tip} 4.5z" fill="{colour}"/>'
        if beyond
        else f'<circle cx="{x:.1f}" cy="7" r="4" fill="{colour}"/>'
    )
    body = (
        f'<rect x="{half - band:.1f}" width="{2 * band:.1f}" height="14" fill="var(--noise)"/>'
        f'<line x1="{half:g}" x2="{half:g}" y1="0" y2="14" stroke="var(--muted)"/>{mark}'
    )
    return Markup(
        f'<svg class="mark" width="{PLANE:g}" height="14" viewBox="0 0 {PLANE:g} 14" aria-hidden="true">{body}</svg>'
    )


def map_figure(places: Mapping[str, Sequence[Sequence[float]]]) -> Markup:
    """Real and synthetic texts in the plane in which real ones vary most."""
    told = ", ".join(f"{fmt.count(len(points))} {name}" for name, points in places.items())
    return figures.both(
        "map",
        lambda frame: _map(places, frame),
        title="Map of real and synthetic texts",
        description=f"Each mark is a text ({told}); near marks mean alike. Only circles: nothing synthetic is there.",
    )


def _map(places: Mapping[str, Sequence[Sequence[float]]], frame: Frame) -> Canvas:
    side = 420.0 if frame.name == "wide" else 330.0
    canvas = frame.canvas(side + 8)
    points = [point for group in places.values() for point in group]
    bounds = [(min(p[axis] for p in points), max(p[axis] for p in points)) for axis in (0, 1)]
    across, up = ((low - 0.03 * (high - low) - 1e-6, high + 0.03 * (high - low) + 1e-6) for low, high in bounds)
    panel = Panel(canvas, (4, frame.width - 4), 4, side, across=across, up=up)
    corners = [(4.0, 4.0), (frame.width - 4.0, 4.0), (frame.width - 4.0, side + 4), (4.0, side + 4), (4.0, 4.0)]
    canvas.line(corners, HAIR)
    for x, y in places["real"]:
        canvas.mark("circle", (panel.x(x), panel.y(y)), 3, fill=PAPER, edge=BLUE, width=1.1)
    for x, y in places["synthetic"]:
        canvas.mark("diamond", (panel.x(x), panel.y(y)), 3, fill=RED, edge=RED, width=0.4)
    return canvas


def distribution_figure(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """One panel a feature: the share of texts by value, real as area and synthetic as line."""
    names = fmt.listing([str(row["name"]) for row in rows])
    return figures.both(
        "distributions",
        lambda frame: _distributions(rows, frame),
        title=f"Distributions of {names}",
        description="Shares of texts by value; the blue area is real text, the red line synthetic text.",
    )


def _distributions(rows: Sequence[Mapping[str, Any]], frame: Frame) -> Canvas:
    columns = 2 if frame.name == "wide" else 1
    height, pitch = 110.0, 190.0
    width = (frame.width - GAP * (columns - 1)) / columns
    canvas = frame.canvas(pitch * -(-len(rows) // columns))
    for place, row in enumerate(rows):
        left = (place % columns) * (width + GAP)
        _panel(canvas, row, (left + 4, left + width - 8), 26 + pitch * (place // columns), height)
    return canvas


def _panel(canvas: Canvas, row: Mapping[str, Any], sides: tuple[float, float], top: float, height: float) -> None:
    edges, real, synthetic = row["edges"], row["real"], row["synthetic"]
    panel = Panel(
        canvas, sides, top, height, across=(edges[0], edges[-1]), up=(0, max([*real, *synthetic, 1e-9]) * 1.05)
    )
    canvas.text((sides[0], top - 10), str(row["name"]), MUTED, anchor="start")
    real_steps, synthetic_steps = _steps(panel, edges, real), _steps(panel, edges, synthetic)
    canvas.area([(sides[0], panel.bottom), *real_steps, (sides[1], panel.bottom)], BLUE, opacity=0.28)
    canvas.line(real_steps, BLUE, width=1)
    canvas.line(synthetic_steps, RED, width=1.8, dash="5 3")
    canvas.line([(sides[0], panel.bottom), (sides[1], panel.bottom)], MUTED)
    labels = {panel.x(value): fmt.decimal(value) for value in ticks(edges[0], edges[-1], 6)}
    shown = spaced(dict.fromkeys(labels, 34.0))
    for x in shown:
        canvas.line([(x, panel.bottom), (x, panel.bottom + 4)], MUTED)
        canvas.text((x, panel.bottom + 18), labels[x], MUTED, small=True)


def _steps(panel: Panel, edges: Sequence[float], shares: Sequence[float]) -> list[tuple[float, float]]:
    ends = zip(edges, edges[1:], shares, strict=False)
    return [(panel.x(x), panel.y(share)) for low, high, share in ends for x in (low, high)]
