"""Small marks that stand inside table cells: bars, dumbbells and intervals as inline SVG.

They are made of numbers alone, take their colours from the page's style sheet, and repeat what the cell says in
figures; screen readers therefore skip them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from markupsafe import Markup

from posology.records import ArmKind
from posology.report import formatting as fmt
from posology.report.panel import ticks
from posology.report.results import Measure

PAD = 6.0  # room for a marker at either end
PLANE = 170.0  # width of a `difference` mark


def _svg(width: float, height: float, body: str) -> Markup:
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="xMinYMid"'
    return Markup(f'<svg class="mark" {size} aria-hidden="true">{body}</svg>')


def bar(share: float, width: float = 90) -> Markup:
    """A bar of `share` of the width; a share above 0 is never invisible."""
    length = max(min(max(share, 0.0), 1.0) * width, 1.0 if share > 0 else 0.0)
    return _svg(width, 10, f'<rect class="fill" width="{length:.1f}" height="10"/>')


def histogram(filled: Sequence[int], hollow: Sequence[int], width: float = 240, height: float = 44) -> Markup:
    """Two counts on each of equal parts of [0, 1], on one scale: filled columns, and outlines on top of them."""
    n = max(len(filled), len(hollow), 1)
    most = max((sum(pair) for pair in zip_longest(filled, hollow, fillvalue=0)), default=0) or 1
    step, parts = width / n, []
    for place, (below, above) in enumerate(zip_longest(filled, hollow, fillvalue=0)):
        low, top = below / most * (height - 2), above / most * (height - 2)
        x, wide = place * step + 0.5, step - 1
        if below:
            y = height - low
            parts.append(f'<rect class="fill" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{low:.1f}"/>')
        if above:
            y = height - low - top
            parts.append(f'<rect class="hollow" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{top:.1f}"/>')
    base = f'<line class="rail" x1="0" x2="{width:g}" y1="{height - 0.5:g}" y2="{height - 0.5:g}"/>'
    return _svg(width, height, base + "".join(parts))


def dumbbell(before: float, after: float, width: float, *, fewer_is_better: bool = False) -> Markup:
    """Two shares on one scale from 0 to 1: an open ring before, a full dot after."""
    x0, x1 = (PAD + value * (width - 2 * PAD) for value in (before, after))
    gain = before - after if fewer_is_better else after - before
    way = "same" if abs(gain) < 1e-9 else "gain" if gain > 0 else "loss"
    rail = f'<line class="rail" x1="{PAD:g}" x2="{width - PAD:g}" y1="7" y2="7"/>'
    rod = f'<line class="rod {way}" x1="{x0:.1f}" x2="{x1:.1f}" y1="7" y2="7"/>'
    ring = f'<circle class="ring" cx="{x0:.1f}" cy="7" r="3.5"/>'
    return _svg(width, 14, f'{rail}{rod}{ring}<circle class="dot {way}" cx="{x1:.1f}" cy="7" r="4"/>')


def scale(measures: Sequence[Measure], resolvable: float | None) -> tuple[float, float]:
    """The common scale of `difference` marks: all intervals, zero, and the band that cannot be resolved."""
    values = [0.0, *(v for m in measures for v in (m.mean, *(m.ci95 or ())))]
    values += [-resolvable, resolvable] if resolvable else []
    low, high = min(values), max(values)
    return (low, high) if high > low else (-0.01, 0.01)


def _x(value: float, ends: tuple[float, float]) -> float:
    """Pixels from the left of a `difference` mark."""
    low, high = ends
    return PAD + (value - low) / (high - low) * (PLANE - 2 * PAD)


def backdrop(ends: tuple[float, float], resolvable: float | None) -> str:
    """Where zero and the band that cannot be resolved lie behind `difference` marks, as CSS variables."""
    size = resolvable or 0.0
    places = {"zero": _x(0.0, ends), "low": _x(-size, ends), "high": _x(size, ends)}
    return ";".join(f"--{name}:{x:.1f}px" for name, x in places.items())


def difference(measure: Measure, kind: ArmKind, ends: tuple[float, float]) -> Markup:
    """A difference and its interval, on the scale that `ends` give."""
    whisker = ""
    if measure.ci95 is not None:
        a, b = (_x(value, ends) for value in measure.ci95)
        whisker = f'<line class="whisker {kind}" x1="{a:.1f}" x2="{b:.1f}" y1="7" y2="7"/>'
    centre = _x(measure.mean, ends)
    if kind == "selected":
        return _svg(PLANE, 14, f'{whisker}<circle class="selected" cx="{centre:.1f}" cy="7" r="4"/>')
    return _svg(PLANE, 14, f'{whisker}<path class="random" d="M{centre:.1f} 2.5l4.5 4.5-4.5 4.5-4.5-4.5z"/>')


def ruler(ends: tuple[float, float]) -> Markup:
    """The scale of `difference` marks, in points."""
    low, high = ends
    parts = []
    for step in ticks(low, high, 5):
        x = _x(step, ends)
        parts.append(
            f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="4"/>'
            f'<text x="{x:.1f}" y="16" text-anchor="middle">{fmt.signed(step, 0)}</text>'
        )
    return _svg(PLANE, 18, "".join(parts))
