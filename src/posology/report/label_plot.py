"""The labels figure: what real data alone reaches, and where it would reach what the dose reached.

The law `a - b * n^-c` is drawn firm over the measured sizes and dashed beyond them, where it is a forecast.
"""

from __future__ import annotations

from markupsafe import Markup

from posology.report import figures
from posology.report import formatting as fmt
from posology.report.canvas import BLUE, INK, PAPER, Canvas, Point
from posology.report.figures import Frame
from posology.report.panel import Look, Panel, limits
from posology.report.results import DoseResponse, Labels

HEADROOM = 1.15  # how far the horizontal axis runs beyond the last thing on it
LOOK = Look(INK, "square", INK, 3)


def figure(result: DoseResponse) -> Markup | None:
    """Draws the figure for both widths; None where no learning curve was measured."""
    labels = result.labels
    if labels is None or not labels.learning_curve:
        return None
    return figures.both(
        "labels", lambda frame: _draw(result, labels, frame), title="Real labels alone", description=describe(labels)
    )


def describe(labels: Labels) -> str:
    """The figure in words."""
    said = [f"{fmt.plural(p.n_real, 'real label')}: {fmt.percent(p.accuracy)}." for p in labels.learning_curve]
    if labels.equivalent_labels is not None:
        said.append(f"The dose equals {fmt.count(labels.equivalent_labels)} more real labels.")
    return " ".join(said)


def _draw(result: DoseResponse, labels: Labels, frame: Frame) -> Canvas:
    points = sorted(labels.learning_curve, key=lambda point: point.n_real)
    start, at_hand = float(points[0].n_real), float(points[-1].n_real)
    goal = at_hand + labels.equivalent_labels if labels.equivalent_labels else None
    end = (goal or at_hand) * HEADROOM
    firm, forecast = _law(labels, start, at_hand), _law(labels, at_hand, end)
    # The gain is read off the law, so it starts from the law and not from the last square.
    base = labels.fit.accuracy(at_hand) if labels.fit else result.real_only.accuracy.mean
    level = base + focus.delta_vs_real_only.mean if (focus := result.focus) else None
    values = [value for point in points for value in (point.accuracy, *(point.ci95 or ()))]
    values += [share for _, share in [*firm, *forecast]] + ([level] if level is not None else [])
    height = 250 if frame.name == "wide" else 230
    canvas = frame.canvas(28 + height + 46)
    up = limits(values, margin=0.1)
    panel = Panel(canvas, frame.sides, 28, height, across=(-0.01 * end, end), up=up)
    panel.heading("Accuracy, %")
    panel.shares_axis(5)
    for law, dash in ((firm, None), (forecast, "5 4")):
        if law:
            canvas.line([(panel.x(n), panel.y(share)) for n, share in law], INK, width=1.3, dash=dash)
    if focus and level is not None:
        gain = fmt.points(focus.delta_vs_real_only.mean)
        _target(panel, level, labels, goal, f"with {fmt.dose(focus.told_dose)} synthetic: {gain}")
    for point in points:
        told = f"{fmt.plural(point.n_real, 'real label')}: accuracy {fmt.percent(point.accuracy)}"
        panel.mark(point.n_real, point.accuracy, point.ci95, LOOK, f"{told} {fmt.interval(point.ci95)}".strip())
    names = {n: [fmt.count(n)] for n in [0.0, *(float(point.n_real) for point in points), *([goal] if goal else [])]}
    panel.lower_axis(names, "Real labels", keep=[goal, at_hand] if goal else [at_hand])
    return canvas


def _law(labels: Labels, start: float, end: float) -> list[Point]:
    """The law between two sizes; a share, however far it is stretched."""
    if labels.fit is None:
        return []
    sizes = [start + (end - start) * i / 60 for i in range(61)]
    return [(n, min(max(labels.fit.accuracy(n), 0.0), 1.0)) for n in sizes]


def _target(panel: Panel, level: float, labels: Labels, goal: float | None, name: str) -> None:
    """The level that the dose reached and, where known, how many real labels would reach it."""
    panel.level(level, BLUE, width=1.5)
    panel.canvas.text((panel.left + 4, panel.y(level) - 6), name, BLUE, anchor="start", bold=True)
    if goal:
        x, y = panel.x(goal), panel.y(level)
        more = f"= {fmt.count(labels.equivalent_labels)} more labels"
        panel.canvas.line([(x, panel.bottom), (x, y)], BLUE, width=1.2, dash="2.4 2.4")
        panel.canvas.mark("circle", (x, y), 4.5, fill=BLUE, edge=PAPER)
        panel.canvas.text((x - 6, panel.bottom - 10), more, BLUE, anchor="end", bold=True)
